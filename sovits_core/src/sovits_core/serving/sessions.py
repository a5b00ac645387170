"""ONNX Runtime sessions of graphs that are made at load."""

from __future__ import annotations

from pathlib import Path

import onnx
import onnxruntime as ort

SPIN_MICROSECONDS = "20"
"""How long a thread that is done waits awake for its next part. The next node is closer than this; where another
process has the processor, waiting awake for longer takes from the thread that is waited for."""


def session_options(threads: int) -> ort.SessionOptions:
    """Return options for one inference at a time on so many threads.

    They wait awake for a moment within a run, and sleep between runs: they eat no processor time of a pod that waits.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.add_session_config_entry("session.intra_op.spin_duration_us", SPIN_MICROSECONDS)
    options.add_session_config_entry("session.force_spinning_stop", "1")
    options.log_severity_level = 3
    return options


def open_session(model: onnx.ModelProto, folder: Path, threads: int) -> ort.InferenceSession:
    """Open a graph whose external data lie in a folder."""
    options = session_options(threads)
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
