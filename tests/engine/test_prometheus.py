"""The configuration and the rules of Prometheus, judged by its own promtool."""

import subprocess
from pathlib import Path

import pytest
import yaml
from modelway.monitoring.config import ScrapeSpec, prometheus_config, prometheus_rules

from tools.progress import Progress
from tools.toolchain import ensure

SPEC = ScrapeSpec(("modelway-models",), "modelway-gateway")

SERIES = """
rule_files: [rules.yml]
evaluation_interval: 15s
tests:
  - interval: 15s
    input_series:
      - series: 'up{job="model-servers",model="iris",version="v1",namespace="m",pod="iris-v1-x"}'
        values: '1x20'
      - series: 'modelway_requests_total{model="iris",version="v1",namespace="m",pod="iris-v1-x",code="200"}'
        values: '0+150x20'
      - series: 'container_cpu_usage_seconds_total{namespace="m",pod="iris-v1-x",container="server"}'
        values: '0+7.5x20'
      - series: 'container_memory_working_set_bytes{namespace="m",pod="iris-v1-x",container="server"}'
        values: '1000x20'
      - series: 'container_cpu_usage_seconds_total{namespace="m",pod="other",container="server"}'
        values: '0+7.5x20'
    promql_expr_test:
      - expr: round(model_version:modelway_requests:rate1m)
        eval_time: 4m
        exp_samples: [{labels: '{model="iris",version="v1"}', value: 10}]
      - expr: model_version:modelway_request_errors:rate1m
        eval_time: 4m
        exp_samples: [{labels: 'model_version:modelway_request_errors:rate1m{model="iris",version="v1"}', value: 0}]
      - expr: round(model_version:container_cpu_cores:rate1m, 0.1)
        eval_time: 4m
        exp_samples: [{labels: '{model="iris",version="v1"}', value: 0.5}]
      - expr: model_version:container_memory_working_set_bytes:sum
        eval_time: 4m
        exp_samples:
          - {labels: 'model_version:container_memory_working_set_bytes:sum{model="iris",version="v1"}', value: 1000}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(prometheus_rules()))
    config = {**prometheus_config(SPEC), "rule_files": [str(tmp_path / "rules.yml")]}
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(config))
    (tmp_path / "tests.yml").write_text(SERIES)
    return tmp_path


@pytest.mark.parametrize(
    "command",
    [
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["check", "rules", "rules.yml"],
        ["test", "rules", "tests.yml"],
    ],
    ids=["config", "rules", "values"],
)
def test_promtool_accepts(folder: Path, command: list[str]) -> None:
    promtool = ensure(["promtool"], Progress())["promtool"]
    result = subprocess.run([promtool.path, *command], cwd=folder, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, ""), result.stdout + result.stderr
