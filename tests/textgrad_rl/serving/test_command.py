import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from tests.support.openai_server import serve
from textgrad_rl.serving.command import serve_until_stopped
from textgrad_rl_graphs.errors import ConfigError, UnknownNameError

ROOT = Path(__file__).parents[3]


def test_the_command_serves_until_it_is_stopped() -> None:
    roots = os.pathsep.join(str(ROOT / name) for name in (".", "graphs", "critics"))
    with serve(lambda messages, body: messages[-1]["content"].upper()) as upstream:
        command = [sys.executable, "-m", "textgrad_rl.cli", "serve", f"{upstream.url}#small", "--port", "0"]
        environment = os.environ | {"PYTHONPATH": roots}
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            told = re.match(r"(\S+) answers at (\S+);", process.stdout.readline())
            assert told is not None
            with openai.OpenAI(base_url=told[2], api_key="none") as client:
                answer = client.chat.completions.create(model=told[1], messages=[{"role": "user", "content": "hi"}])
            process.send_signal(signal.SIGTERM)  # SIGINT is ignored where the tests run in the background
            try:
                assert process.wait(20) == 0
            finally:
                process.kill()
    assert answer.choices[0].message.content == "HI"


def test_names_that_do_not_exist_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'pocket'"):
        serve_until_stopped("poket", 0)
    with pytest.raises(ConfigError, match="holds no model"):
        serve_until_stopped("./no/such/folder", 0)
