"""What processes on one machine need: shared parameters, threads, signals, logs."""

from fedgdl.runtime.logs import LogEnd, LogRelay, make_relay, send_logs_to
from fedgdl.runtime.shared_parameters import ParameterSlots, Publication, SharedParameters
from fedgdl.runtime.signals import ignore_interrupts, interrupted_once, interrupts_deferred
from fedgdl.runtime.threads import blas_environment, one_blas_thread, usable_cores

__all__ = [
    "LogEnd",
    "LogRelay",
    "ParameterSlots",
    "Publication",
    "SharedParameters",
    "blas_environment",
    "ignore_interrupts",
    "interrupted_once",
    "interrupts_deferred",
    "make_relay",
    "one_blas_thread",
    "send_logs_to",
    "usable_cores",
]
