# Usage: what n. Prints nanoseconds per operation, or acquisitions per second.
import multiprocessing as mp
import sys
import time

what, n = sys.argv[1], int(sys.argv[2])
context = mp.get_context("fork")


def alone(operation):
    for _ in range(n // 10):
        operation()
    started = time.perf_counter_ns()
    for _ in range(n):
        operation()
    return (time.perf_counter_ns() - started) / n


def pair(lock):
    def operation():
        lock.acquire()
        lock.release()
    return operation


def added(value):
    def operation():
        with value.get_lock():
            value.value += 1
    return operation


def read(value):
    def operation():
        return value.value
    return operation


def written(value):
    def operation():
        value.value = 7
    return operation


def worker(lock, cell, turns, ready, go):
    ready.release()
    go.acquire()
    for _ in range(turns):
        with lock:
            cell.value += 1


def contended(workers, turns=20_000):
    lock, cell = context.Lock(), context.Value("Q", 0, lock=False)
    ready, go = context.Semaphore(0), context.Semaphore(0)
    peers = [context.Process(target=worker, args=(lock, cell, turns, ready, go)) for _ in range(workers)]
    for peer in peers:
        peer.start()
    for _ in peers:
        ready.acquire()
    started = time.perf_counter_ns()
    for _ in peers:
        go.release()
    for peer in peers:
        peer.join()
    seconds = (time.perf_counter_ns() - started) / 1e9
    if cell.value != workers * turns:
        sys.exit("an increment was lost")
    return workers * turns / seconds


print({
    "lock": lambda: alone(pair(context.Lock())),
    "semaphore": lambda: alone(pair(context.Semaphore(4))),
    "add": lambda: alone(added(context.Value("Q", 0))),
    "get": lambda: alone(read(context.Value("Q", 0))),
    "set": lambda: alone(written(context.Value("Q", 0))),
    "contended": lambda: contended(n),
}[what]())
