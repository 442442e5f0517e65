"""The thread pool's machine code, as LLVM IR text.

One parallel region is open at a time. Its whole shared state is one 64-bit word, so that opening,
joining, leaving and closing a region are single atomic operations and nobody ever waits for a
worker that sleeps:

    bits 63-32  number of the region
    bits 31-16  limit: workers with an index below it may join
    bit  12     open
    bits 11-0   how many workers are inside

The caller writes what is to be done, then the word; workers join by adding one to an open word,
take chunks from a shared cursor until none is left, and subtract one. The caller takes chunks too,
closes the region and waits until nobody is inside. A worker without a region spins for a while,
then sleeps on a condition variable.

`rtfunc.compiler.cpu.threads` compiles this and is its face. Depends on nothing.
"""

from __future__ import annotations

import platform
import sys

from rtfunc.compiler.cpu.threads import MAX_THREADS

SERIAL = """
define private void @run_serially(ptr %body, ptr %context, i64 %total, i64 %grain) nounwind {
entry:
  br label %chunk
chunk:
  %begin = phi i64 [0, %entry], [%next, %chunk]
  %next = add nsw i64 %begin, %grain
  %end = call i64 @llvm.smin.i64(i64 %next, i64 %total)
  call void %body(ptr %context, i64 %begin, i64 %end, i64 0)
  %more = icmp slt i64 %next, %total
  br i1 %more, label %chunk, label %done
done:
  ret void
}
declare i64 @llvm.smin.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
"""

SERIAL_ONLY = """
define void @rtfunc_parallel_for(ptr %body, ptr %context, i64 %total, i64 %grain0) nounwind {
  %grain = call i64 @llvm.smax.i64(i64 %grain0, i64 1)
  %any = icmp sgt i64 %total, 0
  br i1 %any, label %run, label %done
run:
  call void @run_serially(ptr %body, ptr %context, i64 %total, i64 %grain)
  br label %done
done:
  ret void
}
define void @pool_configure(i64 %threads, i64 %spins) { ret void }
define i64 @pool_threads() { ret i64 1 }
define i64 @pool_workers() { ret i64 0 }
define i64 @pool_regions() { ret i64 0 }
define void @pool_reset() { ret void }
define void @pool_stop() { ret void }
define void @pool_spin(i64 %n) { ret void }
"""

STATE = """
@state = internal global i64 0, align 128
@cursor = internal global i64 0, align 128
@region = internal global {ptr, ptr, i64, i64} zeroinitializer, align 128
@busy = internal global i32 0, align 128
@sleepers = internal global i32 0, align 128
@threads = internal global i64 1, align 128
@spins = internal global i64 1000
@stopping = internal global i32 0
@workers = internal global i64 0
@regions = internal global i64 0
@handles = internal global [MAX_THREADS x i64] zeroinitializer
@mutex = internal global [256 x i8] zeroinitializer, align 128
@wakeup = internal global [256 x i8] zeroinitializer, align 128

declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)
declare i32 @pthread_create(ptr, ptr, ptr, ptr)
declare i32 @pthread_join(i64, ptr)
declare i32 @pthread_sigmask(i32, ptr, ptr)
declare i32 @sigfillset(ptr)
declare i32 @sigdelset(ptr, i32)
declare i32 @sched_yield()
"""

# Worker and region numbers are i64; the fields of the state word are cut out where they are used.
WORK = """
define private void @run_chunks(i64 %worker) nounwind {
entry:
  %body = load ptr, ptr @region
  %context.p = getelementptr {ptr, ptr, i64, i64}, ptr @region, i64 0, i32 1
  %context = load ptr, ptr %context.p
  %total.p = getelementptr {ptr, ptr, i64, i64}, ptr @region, i64 0, i32 2
  %total = load i64, ptr %total.p
  %grain.p = getelementptr {ptr, ptr, i64, i64}, ptr @region, i64 0, i32 3
  %grain = load i64, ptr %grain.p
  br label %take
take:
  %begin = atomicrmw add ptr @cursor, i64 %grain monotonic
  %left = icmp slt i64 %begin, %total
  br i1 %left, label %work, label %done
work:
  %next = add nsw i64 %begin, %grain
  %end = call i64 @llvm.smin.i64(i64 %next, i64 %total)
  call void %body(ptr %context, i64 %begin, i64 %end, i64 %worker)
  br label %take
done:
  ret void
}

define private i1 @may_join(i64 %word, i64 %seen, i64 %worker) alwaysinline nounwind {
  %number = lshr i64 %word, 32
  %new = icmp ne i64 %number, %seen
  %open.bit = and i64 %word, 4096
  %open = icmp ne i64 %open.bit, 0
  %limit.high = lshr i64 %word, 16
  %limit = and i64 %limit.high, 65535
  %wanted = icmp slt i64 %worker, %limit
  %a = and i1 %new, %open
  %b = and i1 %a, %wanted
  ret i1 %b
}

define private ptr @work(ptr %argument) nounwind {
entry:
  %worker = ptrtoint ptr %argument to i64
  call void @leave_signals_to_others()
  br label %idle
idle:
  ; A worker starts with a number that no region has: it may be needed in the one that is open
  ; already.
  %seen = phi i64 [-1, %entry], [%seen, %asleep.end], [%seen, %join], [%number, %inside]
  %budget = load atomic i64, ptr @spins monotonic, align 8
  br label %spin
spin:
  %round = phi i64 [0, %idle], [%round.next, %pause]
  %word.1 = load atomic i64, ptr @state acquire, align 8
  %go.1 = call i1 @may_join(i64 %word.1, i64 %seen, i64 %worker)
  br i1 %go.1, label %join, label %wait
wait:
  %tired = icmp uge i64 %round, %budget
  br i1 %tired, label %asleep, label %pause
pause:
  PAUSE
  %round.next = add i64 %round, 1
  br label %spin
asleep:
  %0 = call i32 @pthread_mutex_lock(ptr @mutex)
  %1 = atomicrmw add ptr @sleepers, i32 1 seq_cst
  br label %asleep.check
asleep.check:
  %stop.1 = load atomic i32, ptr @stopping seq_cst, align 4
  %stop = icmp ne i32 %stop.1, 0
  %word.2 = load atomic i64, ptr @state seq_cst, align 8
  %go.2 = call i1 @may_join(i64 %word.2, i64 %seen, i64 %worker)
  %awake = or i1 %stop, %go.2
  br i1 %awake, label %asleep.end, label %asleep.wait
asleep.wait:
  %2 = call i32 @pthread_cond_wait(ptr @wakeup, ptr @mutex)
  br label %asleep.check
asleep.end:
  %3 = atomicrmw sub ptr @sleepers, i32 1 seq_cst
  %4 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br i1 %stop, label %leave, label %idle
join:
  %word.in = add i64 %word.1, 1
  %pair = cmpxchg ptr @state, i64 %word.1, i64 %word.in acq_rel monotonic
  %joined = extractvalue {i64, i1} %pair, 1
  br i1 %joined, label %inside, label %idle
inside:
  %number = lshr i64 %word.1, 32
  call void @run_chunks(i64 %worker)
  %5 = atomicrmw sub ptr @state, i64 1 release
  br label %idle
leave:
  ret ptr null
}

; Python handles signals on its main thread: workers block them all but those that their own faults
; raise.
define private void @leave_signals_to_others() nounwind {
entry:
  %set = alloca [256 x i8], align 8
  %0 = call i32 @sigfillset(ptr %set)
  %1 = call i32 @sigdelset(ptr %set, i32 SIGNAL_ILL)
  %2 = call i32 @sigdelset(ptr %set, i32 SIGNAL_BUS)
  %3 = call i32 @sigdelset(ptr %set, i32 SIGNAL_FPE)
  %4 = call i32 @sigdelset(ptr %set, i32 SIGNAL_SEGV)
  %5 = call i32 @pthread_sigmask(i32 SIG_SETMASK, ptr %set, ptr null)
  ret void
}
"""

FORK_JOIN = """
; Start workers until there are `threads` with the caller; returns how many there are.
define private i64 @ensure_workers(i64 %threads) nounwind {
entry:
  br label %check
check:
  %have = load i64, ptr @workers
  %with.caller = add i64 %have, 1
  %enough = icmp sge i64 %with.caller, %threads
  br i1 %enough, label %done, label %create
create:
  %slot = getelementptr [MAX_THREADS x i64], ptr @handles, i64 0, i64 %have
  %index = inttoptr i64 %with.caller to ptr
  %error = call i32 @pthread_create(ptr %slot, ptr null, ptr @work, ptr %index)
  %good = icmp eq i32 %error, 0
  br i1 %good, label %count, label %refused
count:
  store i64 %with.caller, ptr @workers
  br label %check
refused:
  store atomic i64 %with.caller, ptr @threads monotonic, align 8
  br label %done
done:
  %result = phi i64 [%threads, %check], [%with.caller, %refused]
  ret i64 %result
}

define private void @run_region(ptr %body, ptr %context, i64 %total, i64 %grain, i64 %limit)
    nounwind {
entry:
  store ptr %body, ptr @region
  %context.p = getelementptr {ptr, ptr, i64, i64}, ptr @region, i64 0, i32 1
  store ptr %context, ptr %context.p
  %total.p = getelementptr {ptr, ptr, i64, i64}, ptr @region, i64 0, i32 2
  store i64 %total, ptr %total.p
  %grain.p = getelementptr {ptr, ptr, i64, i64}, ptr @region, i64 0, i32 3
  store i64 %grain, ptr %grain.p
  store atomic i64 0, ptr @cursor monotonic, align 8
  %regions.old = load i64, ptr @regions
  %regions.new = add i64 %regions.old, 1
  store i64 %regions.new, ptr @regions
  %old = load atomic i64, ptr @state monotonic, align 8
  %old.number = lshr i64 %old, 32
  %number = add i64 %old.number, 1
  %number.high = shl i64 %number, 32
  %limit.high = shl i64 %limit, 16
  %word.1 = or i64 %number.high, %limit.high
  %word = or i64 %word.1, 4096
  store atomic i64 %word, ptr @state seq_cst, align 8
  %sleeping = load atomic i32, ptr @sleepers seq_cst, align 4
  %wake = icmp sgt i32 %sleeping, 0
  br i1 %wake, label %call, label %run
call:
  %0 = call i32 @pthread_mutex_lock(ptr @mutex)
  %1 = call i32 @pthread_cond_broadcast(ptr @wakeup)
  %2 = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %run
run:
  call void @run_chunks(i64 0)
  %3 = atomicrmw and ptr @state, i64 -4097 acq_rel
  %budget = load atomic i64, ptr @spins monotonic, align 8
  br label %join
join:
  %round = phi i64 [0, %run], [%round.next, %again]
  %now = load atomic i64, ptr @state acquire, align 8
  %inside = and i64 %now, 4095
  %empty = icmp eq i64 %inside, 0
  br i1 %empty, label %closed, label %wait
wait:
  %patient = icmp ult i64 %round, %budget
  br i1 %patient, label %pause, label %yield
pause:
  PAUSE
  br label %again
yield:
  %4 = call i32 @sched_yield()
  br label %again
again:
  %round.next = add i64 %round, 1
  br label %join
closed:
  ret void
}

define void @rtfunc_parallel_for(ptr %body, ptr %context, i64 %total, i64 %grain0) nounwind {
entry:
  %grain = call i64 @llvm.smax.i64(i64 %grain0, i64 1)
  %any = icmp sgt i64 %total, 0
  br i1 %any, label %some, label %done
some:
  %one.chunk = icmp sle i64 %total, %grain
  br i1 %one.chunk, label %serial, label %several
several:
  %threads = load atomic i64, ptr @threads monotonic, align 8
  %one.thread = icmp sle i64 %threads, 1
  br i1 %one.thread, label %serial, label %claim
claim:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue {i32, i1} %pair, 1
  br i1 %mine, label %fork, label %serial
fork:
  %have = call i64 @ensure_workers(i64 %threads)
  %last = sub i64 %total, 1
  %full = sdiv i64 %last, %grain
  %chunks = add i64 %full, 1
  %limit = call i64 @llvm.smin.i64(i64 %have, i64 %chunks)
  call void @run_region(ptr %body, ptr %context, i64 %total, i64 %grain, i64 %limit)
  store atomic i32 0, ptr @busy release, align 4
  ret void
serial:
  call void @run_serially(ptr %body, ptr %context, i64 %total, i64 %grain)
  br label %done
done:
  ret void
}
"""

CONTROL = """
; Waits for an open region to end.
define void @pool_configure(i64 %threads, i64 %spins) nounwind {
entry:
  br label %claim
claim:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue {i32, i1} %pair, 1
  br i1 %mine, label %configure, label %wait
wait:
  %0 = call i32 @sched_yield()
  br label %claim
configure:
  store atomic i64 %spins, ptr @spins monotonic, align 8
  store atomic i64 %threads, ptr @threads monotonic, align 8
  store atomic i32 0, ptr @busy release, align 4
  ret void
}

define i64 @pool_threads() nounwind {
  %threads = load atomic i64, ptr @threads monotonic, align 8
  ret i64 %threads
}

define i64 @pool_workers() nounwind {
  %workers = load i64, ptr @workers
  ret i64 %workers
}

define i64 @pool_regions() nounwind {
  %regions = load i64, ptr @regions
  ret i64 %regions
}

; Forget all workers and whatever was going on: for the start, and for the child of a fork.
define void @pool_reset() nounwind {
entry:
  store i64 0, ptr @workers
  store i32 0, ptr @sleepers
  store i32 0, ptr @stopping
  store i32 0, ptr @busy
  store i64 0, ptr @state
  %0 = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %1 = call i32 @pthread_cond_init(ptr @wakeup, ptr null)
  ret void
}

; End all workers, once no region is open; the next region with more than one thread starts new
; ones.
define void @pool_stop() nounwind {
entry:
  br label %claim
claim:
  %pair = cmpxchg ptr @busy, i32 0, i32 1 acquire monotonic
  %mine = extractvalue {i32, i1} %pair, 1
  br i1 %mine, label %stop, label %wait
wait:
  %0 = call i32 @sched_yield()
  br label %claim
stop:
  %1 = call i32 @pthread_mutex_lock(ptr @mutex)
  store atomic i32 1, ptr @stopping seq_cst, align 4
  %2 = call i32 @pthread_cond_broadcast(ptr @wakeup)
  %3 = call i32 @pthread_mutex_unlock(ptr @mutex)
  %workers = load i64, ptr @workers
  br label %check
check:
  %i = phi i64 [0, %stop], [%i.next, %collect]
  %more = icmp slt i64 %i, %workers
  br i1 %more, label %collect, label %stopped
collect:
  %slot = getelementptr [MAX_THREADS x i64], ptr @handles, i64 0, i64 %i
  %thread = load i64, ptr %slot
  %4 = call i32 @pthread_join(i64 %thread, ptr null)
  %i.next = add i64 %i, 1
  br label %check
stopped:
  store i64 0, ptr @workers
  store atomic i32 0, ptr @stopping seq_cst, align 4
  store atomic i32 0, ptr @busy release, align 4
  ret void
}

define void @pool_spin(i64 %n) nounwind {
entry:
  br label %pause
pause:
  %i = phi i64 [0, %entry], [%i.next, %pause]
  PAUSE
  %i.next = add i64 %i, 1
  %more = icmp slt i64 %i.next, %n
  br i1 %more, label %pause, label %done
done:
  ret void
}
"""

_PAUSE = {
    "x86_64": ("call void @llvm.x86.sse2.pause()", "declare void @llvm.x86.sse2.pause()"),
    # `isb` holds the pipeline for tens of cycles as x86's `pause` does; `yield` is a no-op on most
    # processors.
    "aarch64": ("call void @llvm.aarch64.isb(i32 15)", "declare void @llvm.aarch64.isb(i32)"),
}
# SIG_SETMASK, SIGBUS; the other signal numbers are the same on all systems.
_SIGNALS = {"linux": (2, 7), "darwin": (3, 10)}


def routines(library: str) -> str:
    """The pool for this machine."""
    return pool_ir(sys.platform, platform.machine())


def pool_ir(system: str, machine: str) -> str:
    """The pool as LLVM IR.

    Args:
        system: `sys.platform`; where it is neither `linux` nor `darwin`, the pool runs everything
            on the caller's thread.
        machine: `platform.machine()`.
    """
    if system not in _SIGNALS:
        return SERIAL + SERIAL_ONLY
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(machine.lower(), machine.lower())
    pause, declaration = _PAUSE.get(name, ("fence acquire", ""))
    set_mask, bus = _SIGNALS[system]
    replacements = {
        "SIGNAL_ILL": "4",
        "SIGNAL_BUS": str(bus),
        "SIGNAL_FPE": "8",
        "SIGNAL_SEGV": "11",
        "SIG_SETMASK": str(set_mask),
        "MAX_THREADS": str(MAX_THREADS),
        "PAUSE": pause,
    }
    text = "".join((SERIAL, STATE, WORK, FORK_JOIN, CONTROL, declaration, "\n"))
    for word, value in replacements.items():
        text = text.replace(word, value)
    return text
