"""An S3 with one folder in it, in the environment of moto: `object_store.py ADDRESS FOLDER BUCKET PREFIX`.

Prints its URL when the files are there, and ends with its standard input.
"""

import sys
from pathlib import Path

import boto3  # type: ignore[import-not-found]
from moto.server import ThreadedMotoServer  # type: ignore[import-not-found]


def main(address: str, folder: str, bucket: str, prefix: str) -> None:
    """Serve until standard input ends."""
    server = ThreadedMotoServer(ip_address=address, port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
    client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", **keys)
    client.create_bucket(Bucket=bucket)
    for file in Path(folder).iterdir():
        client.put_object(Bucket=bucket, Key=f"{prefix}/{file.name}", Body=file.read_bytes())
    print(f"http://{host}:{port}", flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
