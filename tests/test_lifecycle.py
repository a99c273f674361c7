"""However a run ends, nothing of it is left: no thread, no descriptor, no file, no memory."""

import contextlib
import gc
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import stream
import watch
from stream import col
from watch import Nothing, child, start

OPTIONS = [{"threads": 1, "prefetch": 0}, {"threads": 1}, {"threads": 2}, {"threads": 8, "batch_size": 1000}]


@pytest.fixture(params=OPTIONS, ids=str)
def pipe(request, flights_parquet):
    return stream.read(flights_parquet, **request.param).filter(col("distance") > 100)


class Boom(Exception):
    """An exception that only these tests know."""


class TestEnds:
    def test_to_the_end(self, pipe, tmp_path):
        with Nothing(tmp_path):
            rows = sum(batch.num_rows for batch in pipe.options(temp_dir=tmp_path))
        assert rows > 300_000

    def test_break(self, pipe):
        with Nothing():
            for batch in pipe:
                assert batch.num_rows > 0
                break
            gc.collect()

    def test_exception_in_the_loop(self, pipe):
        with Nothing():
            with pytest.raises(Boom):
                for _ in pipe:
                    raise Boom
            gc.collect()

    def test_close(self, pipe):
        with Nothing():
            batches = iter(pipe)
            first = next(batches)
            batches.close()
            assert watch.workers() == []
            assert first["distance"].min() > 100, "a batch that was handed out stays whole"
            with pytest.raises(StopIteration):
                next(batches)
            batches.close()

    def test_with(self, pipe):
        with Nothing(), pipe.batches() as batches:
            next(batches)
        with Nothing(), pytest.raises(Boom), pipe.batches() as batches:
            next(batches)
            raise Boom

    def test_garbage_collection(self, pipe):
        with Nothing():
            batches = iter(pipe)
            next(batches)
            circle = [batches]
            circle.append(circle)
            del batches, circle
            gc.collect()

    def test_rows(self, pipe):
        with Nothing(), pipe.rows() as rows:
            assert next(rows)["distance"] > 100

    def test_an_error_inside(self, flights_parquet):
        pipe = stream.read(flights_parquet, threads=2).select(x=col("tailnum").cast("int64"))
        with Nothing():
            batches = iter(pipe)
            with pytest.raises(stream.exceptions.StreamError, match="tailnum"):
                list(batches)
            del batches

    def test_an_iterator_that_never_ran(self, pipe):
        with Nothing():
            iter(pipe)
            gc.collect()

    def test_iter_alone_starts_nothing(self, pipe):
        with Nothing() as nothing:
            batches = iter(pipe)
            nothing.check()
            del batches

    def test_after_the_end_it_stays_at_the_end(self, pipe):
        batches = iter(pipe.head(10))
        assert [batch.num_rows for batch in batches] == [10]
        for _ in range(3):
            assert next(batches, None) is None


class TestUserCode:
    def test_exceptions_come_out_unchanged(self, pipe):
        boom = Boom("mine")

        def fail(batch):
            raise boom

        with Nothing():
            with pytest.raises(Boom) as caught:
                list(pipe.map(fail))
            assert caught.value is boom
            names = [entry.name for entry in caught.traceback]
            assert "fail" in names
            boom.__traceback__ = None
            del caught
            gc.collect()

    @pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
    def test_also_those_that_are_no_exception(self, pipe, kind):
        def fail(batch):
            raise kind

        with Nothing():
            with pytest.raises(kind):
                list(pipe.map(fail))
            gc.collect()

    def test_functions_run_on_the_thread_of_the_loop(self, pipe):
        seen = set()
        list(pipe.map(lambda batch: seen.add(threading.get_ident()) or batch))
        assert seen == {threading.get_ident()}

    def test_functions_see_no_batch_ahead(self, pipe):
        calls = []
        batches = iter(pipe.map(lambda batch: calls.append(1) or batch))
        assert calls == []
        for expected in (1, 2, 3):
            next(batches)
            assert len(calls) == expected
        batches.close()

    def test_re_entry_raises(self, flights_parquet):
        holder = []
        pipe = stream.read(flights_parquet, threads=2).map(lambda batch: next(holder[0]))
        with pytest.raises(stream.exceptions.StreamError):
            holder.append(iter(pipe))
            next(holder[0])
        holder.pop().close()

    def test_a_run_inside_of_a_run(self, pipe, flights_parquet):
        def counted(batch):
            return {"n": [stream.read(flights_parquet).head(10).count()]}

        assert pipe.head(1000).map(counted).to_pydict()["n"][0] == 10


class TestMany:
    def test_two_thousand_breaks(self, flights_parquet):
        pipe = stream.read(flights_parquet, threads=2, batch_size=1000).select("distance")
        for _ in pipe:
            break
        gc.collect()
        with Nothing():
            before = resident()
            for _ in range(2_000):
                for batch in pipe:
                    assert batch.num_rows > 0
                    break
            gc.collect()
            grown = resident() - before
        assert grown < 16, f"{grown:.1f} MiB more after 2,000 breaks"

    def test_a_thousand_open_iterators(self, flights_parquet):
        pipe = stream.read(flights_parquet, threads=1, prefetch=0, batch_size=100).select("distance")
        with Nothing():
            runs = [iter(pipe) for _ in range(1_000)]
            firsts = [next(run)["distance"][0] for run in runs]
            assert len(set(firsts)) == 1
            seconds = [next(run)["distance"][0] for run in reversed(runs)]
            assert len(set(seconds)) == 1
            del runs
            gc.collect()

    def test_many_with_threads_at_once(self, flights_parquet):
        pipe = stream.read(flights_parquet, threads=2, memory_limit="16MiB").select("distance")
        with Nothing(), contextlib.ExitStack() as stack:
            runs = [stack.enter_context(pipe.batches(batch_size=5_000)) for _ in range(50)]
            assert {next(run).num_rows for run in runs} == {5_000}

    def test_second_iteration_is_a_run_of_its_own(self, pipe):
        first, second = iter(pipe), iter(pipe)
        a, b, c = next(first), next(second), next(first)
        assert a.to_pylist() == b.to_pylist()
        assert c.to_pylist() != a.to_pylist()
        first.close()
        rest = next(second)
        assert rest.to_pylist() == c.to_pylist()
        second.close()

    def test_threads_pull_in_turn(self, pipe):
        batches, rows, lock = iter(pipe), [], threading.Lock()

        def pull():
            for batch in batches:
                with lock:
                    rows.append(batch.num_rows)

        with Nothing():
            threads = [threading.Thread(target=pull) for _ in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            batches.close()
        assert sum(rows) == pipe.count()


def resident() -> float:
    """Memory of this process now, in MiB."""
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


class TestSignals:
    def test_ctrl_c_in_a_long_next(self, flights_parquet):
        """A filter that keeps nothing spends the whole run in one `next`; Ctrl-C ends it."""
        code = """
            import signal, time
            import stream
            from stream import col
            files = [sys.argv[1]] * 400
            pipe = stream.concat([stream.read(f, threads=2) for f in files]).filter(col("tailnum").str.contains("^no.*such$"))
            report(ready=True)
            begun = time.monotonic()
            try:
                for batch in pipe:
                    pass
                report(outcome="ended by itself")
            except KeyboardInterrupt:
                report(outcome="interrupted", threads=len(os.listdir("/proc/self/task")))
        """
        with start(code, flights_parquet) as process:
            assert "ready" in process.stdout.readline()
            wait_for_workers(process.pid)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert process.returncode == 0, err
        assert '"interrupted"' in out
        assert '"threads": 1' in out

    def test_ctrl_c_while_a_pipe_is_silent(self):
        code = """
            import stream
            report(ready=True)
            try:
                for batch in stream.read("-", format="csv", schema={"a": "int64"}):
                    report(rows=batch.num_rows)
            except KeyboardInterrupt:
                report(outcome="interrupted")
        """
        with start(code, stdin=subprocess.PIPE) as process:
            assert "ready" in process.stdout.readline()
            process.stdin.write("a\n1\n2\n")
            process.stdin.flush()
            assert "rows" in process.stdout.readline(), "the first batch comes before the pipe is closed"
            process.send_signal(signal.SIGINT)
            assert '"interrupted"' in process.stdout.readline()
            process.stdin.close()
            assert process.wait(timeout=30) == 0

    def test_a_handler_of_the_users_runs(self, flights_parquet):
        """An alarm that fires in the middle of a run is handled there, and the run goes on."""
        rung = []
        before = signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
            rows = sum(batch.num_rows for batch in stream.read(flights_parquet, batch_size=100))
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert rows == 336_776
        assert rung


def wait_for_workers(pid: int) -> None:
    """Return when the process has threads at work."""
    until = time.monotonic() + 30
    while time.monotonic() < until:
        if len(os.listdir(f"/proc/{pid}/task")) > 1:
            return
        time.sleep(0.001)
    raise AssertionError("no thread was started")


class TestProcesses:
    def test_exit_with_live_iterators(self, flights_parquet):
        for how in ("pass", "sys.exit(0)", "import gc; gc.disable()"):
            got = child(
                f"""
                import stream
                runs = [iter(stream.read(sys.argv[1], threads=2)) for _ in range(3)]
                report(rows=[next(run).num_rows for run in runs])
                {how}
                """,
                flights_parquet,
            )
            assert len(got["rows"]) == 3

    def test_a_stream_made_before_fork_runs_in_the_child(self, flights_parquet):
        got = child(
            """
            import stream
            pipe = stream.read(sys.argv[1], threads=2).select("distance")
            live = iter(pipe)
            next(live)
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    if pipe.count() == 336776 and sum(b.num_rows for b in pipe) == 336776:
                        try:
                            next(live)
                        except stream.exceptions.StreamError as error:
                            code = 0 if "fork" in str(error) else 2
                    del live
                finally:
                    os._exit(code)
            report(child=os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), rest=sum(b.num_rows for b in live) > 0)
            """,
            flights_parquet,
        )
        assert got == {"child": 0, "rest": True}

    def test_an_uncaught_error_ends_a_program_as_any_other(self, flights_parquet):
        """With a traceback and status 1."""
        code = """
            import stream
            for batch in stream.read(sys.argv[1]).select(x=stream.col("tailnum").cast("int64")):
                pass
        """
        with start(code, flights_parquet) as process:
            _, err = process.communicate(timeout=60)
        assert process.returncode == 1
        assert "Traceback" in err
        assert "panicked" not in err


class TestOneShot:
    def test_a_second_run_says_why(self):
        import pyarrow as pa

        reader = pa.table({"a": [1, 2, 3]}).to_reader()
        pipe = stream.from_arrow(reader)
        assert pipe.schema == {"a": "int64"}
        assert sum(batch.num_rows for batch in pipe) == 3
        with pytest.raises(stream.exceptions.StreamError):
            list(pipe)

    def test_used_twice_in_a_plan_is_refused_when_built(self):
        import pyarrow as pa

        pipe = stream.from_arrow(pa.table({"a": [1]}).to_reader())
        with pytest.raises(stream.exceptions.StreamError):
            stream.concat([pipe, pipe])

    def test_a_live_pipe_ends_with_the_loop(self):
        command = [sys.executable, "-c", "print('a')\nwhile True: print(1, flush=True)"]
        with Nothing():
            with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as source:
                for batch in stream.read(source.stdout, format="csv"):
                    assert batch["a"][0] == 1
                    break
                source.kill()
            gc.collect()


def test_ctrl_c_is_heard_between_segments_that_are_all_short(tmp_path):
    """A concat of small files is one short segment after the other; none lasts as long as a look at the clock."""
    stream.from_arrow(stream.Batch({"x": range(1000)})).write_csv(tmp_path / "x.csv")
    got = child(
        """
        import signal, threading, stream
        many = stream.concat([stream.read(sys.argv[1]).filter("x > 1")] * 100_000)
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        try:
            many.count()
        except KeyboardInterrupt:
            report(heard=True)
        """,
        tmp_path / "x.csv",
    )
    assert got == {"heard": True}


def test_concat_opens_one_file_after_the_other(tmp_path):
    import resource

    s = stream.from_arrow(stream.Batch({"x": range(10)}))
    s.write_csv(tmp_path / "x.csv")
    s.write_parquet(tmp_path / "x.parquet")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    got = child(
        f"""
        import resource, stream
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, {hard}))
        for path in sys.argv[1:]:
            report(**{{path: stream.concat([stream.read(path) for _ in range(200)]).filter("x > 1").count()}})
        """,
        tmp_path / "x.csv",
        tmp_path / "x.parquet",
    )
    assert list(got.values()) == [1600, 1600]
