"""What a user does with MLflow's own client: `FOLDER NAME ALIAS` registers an artifact and moves the alias to it.

Runs in an environment of its own and prints the new version.
"""

import sys

import mlflow


def main(folder: str, name: str, alias: str) -> None:
    """Register the files of `folder` as a new version of the model `name`."""
    client = mlflow.MlflowClient()
    if not client.search_registered_models(f"name='{name}'"):
        client.create_registered_model(name)
    with mlflow.start_run() as run:
        mlflow.log_artifacts(folder, "model")
    version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id).version
    client.set_registered_model_alias(name, alias, version)
    sys.stdout.write(f"version {version}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
