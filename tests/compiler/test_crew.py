"""Helpers of a compilation: what they do, in which order, and what becomes of errors and settings."""

import gc
import os
import sys
import threading
import time
from ctypes import c_int64

import numpy as np
import pytest

import rtfunc as rf
import rtfunc.numpy as rnp
from rtfunc.compiler import forks
from rtfunc.compiler.cpu import engine
from rtfunc.compiler.cpu.crew import Crew
from rtfunc.compiler.interpreter import set_for_compiling


@pytest.mark.parametrize("helpers", [0, 1, 3])
def test_all_tasks_are_done_whoever_does_them(helpers):
    with Crew(helpers) as crew:
        tasks = [crew.add(lambda i=i: i * i) for i in range(50)]
        crew.finish()
    assert [task.result() for task in tasks] == [i * i for i in range(50)]


def test_tasks_run_beside_the_caller():
    seen = threading.Event()
    with Crew(1) as crew:
        crew.add(seen.set)
        assert seen.wait(30)


def test_errors_come_out_of_the_result_and_do_not_keep_others_from_their_work():
    with Crew(1) as crew:
        bad, good = crew.add(lambda: 1 // 0), crew.add(lambda: 7)
        crew.finish()
    assert good.result() == 7
    with pytest.raises(ZeroDivisionError):
        bad.result()


def test_no_thread_is_left_when_the_block_raises():
    before = threading.active_count()

    def fail():
        with Crew(2) as crew:
            for _ in range(10):
                crew.add(lambda: None)
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert threading.active_count() == before


def test_modules_compiled_at_the_same_time_do_not_mix():
    def source(number):
        return f"define i64 @f() {{\n ret i64 {number}\n}}"

    with Crew(3) as crew:
        tasks = [crew.add(lambda i=i: engine.compile_module(source(i))) for i in range(40)]
        crew.finish()
    assert [task.result().function("f", c_int64)() for task in tasks] == list(range(40))


def test_settings_of_the_interpreter_are_put_back():
    before = gc.isenabled(), sys.getswitchinterval()
    with set_for_compiling():
        with set_for_compiling():
            assert not gc.isenabled()
        assert not gc.isenabled()
        assert sys.getswitchinterval() < before[1]
    assert (gc.isenabled(), sys.getswitchinterval()) == before
    gc.disable()
    try:
        with set_for_compiling():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_waits_for_a_thread_that_compiles():
    inside, ended = threading.Event(), []

    def compiling():
        with forks.held_off(), set_for_compiling():
            inside.set()
            time.sleep(0.1)
            ended.append(True)

    thread = threading.Thread(target=compiling)
    thread.start()
    assert inside.wait(30)
    child = os.fork()
    if not child:
        os._exit(0 if ended and gc.isenabled() else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_child_has_its_settings_back_whoever_was_compiling():
    before = sys.getswitchinterval()
    with set_for_compiling():
        child = os.fork()
        if not child:
            os._exit(0 if gc.isenabled() and sys.getswitchinterval() == before else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_children_forked_while_threads_compile_can_compile():
    stop = threading.Event()

    def compile_on():
        while not stop.is_set():
            rf.jit(lambda x: rnp.sin(x) + np.random.random())(1.0)

    thread = threading.Thread(target=compile_on)
    thread.start()
    try:
        for _ in range(5):
            child = os.fork()
            if not child:
                right = float(rf.jit(lambda x: x * 3 + 1)(rnp.ones(5)).sum()) == 20.0
                os._exit(0 if right else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        stop.set()
        thread.join()
