"""Several Python threads and one network: a model that they share, copies of it, training beside prediction, Ctrl-C.

The answers of many threads are compared with those of one: the same bits are the point.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import dslc
from dslc.codegen import build
from dslc.runtime.model import Model
from dslc.runtime.native import inference
from helpers import REPO, data

pytestmark = pytest.mark.trains
Array = np.ndarray
WORKERS = 4

SMALL = """
net Small {
  input x: 6
  dense(9) -> tanh
  dense(3) -> softmax
}
train {
  loss      cross_entropy
  optimizer adam(lr=0.01)
  batch     %s
  epochs    4
  seed      3
}
"""


def learnable(count: int) -> tuple[Array, Array]:
    """Three classes that a small network can tell apart."""
    random = np.random.default_rng(0)
    y = random.integers(0, 3, count)
    return random.standard_normal((count, 6)) + 2 * np.eye(6)[y], y


def together(work: Callable[[int], object]) -> list[object]:
    """What the work gives for the numbers of WORKERS threads that begin at the same moment."""
    barrier = threading.Barrier(WORKERS)

    def begin(number: int) -> object:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(begin, range(WORKERS)))


@pytest.fixture(params=[1, 2], ids=["one-core", "two-cores"])
def lenet(request: pytest.FixtureRequest) -> Model:
    return dslc.load(REPO / "specs" / "lenet5.net", threads=request.param)


@pytest.mark.slow
def test_threads_that_share_a_model_get_their_own_answers(lenet: Model, rng: np.random.Generator) -> None:
    images = [rng.random((64, 28, 28, 1), dtype=np.float32) for _ in range(WORKERS)]
    wanted = [lenet.predict(x) for x in images]

    def predict(number: int) -> int:
        return sum(not np.array_equal(lenet.predict(images[number]), wanted[number]) for _ in range(100))

    assert together(predict) == [0] * WORKERS


@pytest.mark.slow
def test_every_call_that_works_in_the_memory_is_alone_there(rng: np.random.Generator) -> None:
    """Predictions, evaluations, losses and gradients of a model that four threads share, each on data of its own."""
    model = dslc.load(REPO / "specs" / "lenet5.net")
    batches = [data(model.network, 64, rng, "float32") for _ in range(WORKERS)]

    def answers(number: int) -> list[bytes]:
        x, y = batches[number]
        gradients = model.gradients(x, y)
        found = [model.predict(x), list(model.evaluate(x, y).values()), model.loss(x, y), *gradients.values()]
        return [np.asarray(a).tobytes() for a in found]

    wanted = [answers(number) for number in range(WORKERS)]
    assert together(lambda number: [answers(number) == wanted[number] for _ in range(20)]) == [[True] * 20] * WORKERS


@pytest.mark.slow
def test_python_goes_on_while_c_runs(lenet: Model) -> None:
    """Another thread notes the time again and again, also within one call."""
    x, stamps, stop = np.zeros((6000, 28, 28, 1), np.float32), [], threading.Event()

    def note() -> None:
        while not stop.is_set():
            stamps.append(time.perf_counter())
            time.sleep(0.001)

    noting = threading.Thread(target=note)
    noting.start()
    began = time.perf_counter()
    inference.predict(lenet.compiled, x)
    ended = time.perf_counter()
    stop.set()
    noting.join()
    assert sum(began < stamp < ended for stamp in stamps) > 3


@pytest.mark.slow
def test_copies_predict_side_by_side(lenet: Model, rng: np.random.Generator) -> None:
    images = [rng.random((64, 28, 28, 1), dtype=np.float32) for _ in range(WORKERS)]
    wanted = [lenet.predict(x) for x in images]
    copies = [lenet.copy() for _ in range(WORKERS)]

    def predict(number: int) -> int:
        model = copies[number]
        return sum(not np.array_equal(model.predict(images[number]), wanted[number]) for _ in range(100))

    assert together(predict) == [0] * WORKERS


def test_a_copy_does_not_wait_for_the_model(lenet: Model) -> None:
    """Their locks are two: a copy predicts while somebody is at work in the model."""
    twin, x = lenet.copy(), np.zeros((1, 28, 28, 1), np.float32)
    with lenet.compiled.lock, ThreadPoolExecutor(1) as pool:
        assert pool.submit(twin.predict, x).result(timeout=60).shape == (1, 10)


def test_a_copy_is_independent() -> None:
    """It goes on from the same parameters, optimizer state and position in the same bits; neither moves the other."""
    x, y = learnable(61)
    model = dslc.loads(SMALL % 8)
    model.fit(x, y, dev=(x[:20], y[:20]), epochs=2)
    twin = model.copy()
    assert (twin.step, twin.epoch, twin.seed) == (model.step, model.epoch, model.seed) == (16, 2, 3)
    before, fit_state = model.copy_weights(), model.fit_state
    histories = [twin.fit(x, y, epochs=2)]
    assert fit_state is model.fit_state and len(fit_state.history.records) == 2 and model.step == 16
    for name, array in before.items():
        np.testing.assert_array_equal(model.parameters[name].numpy(), array)
    histories.append(model.fit(x, y, epochs=2))
    losses = [[record["loss"] for record in history.records] for history in histories]
    assert losses[0] == losses[1] and len(losses[0]) == 2
    for name, array in model.copy_weights().items():
        np.testing.assert_array_equal(twin.parameters[name].numpy(), array)
    twin.parameters["dense1.weight"][...] = 0
    assert model.parameters["dense1.weight"].numpy().any()


def test_a_copy_of_a_training_that_was_resumed_goes_on_too(tmp_path: Path) -> None:
    x, y = learnable(61)
    model, twins = dslc.loads(SMALL % 8), []
    model.fit(x, y, epochs=2)
    model.checkpoint(tmp_path / "c")
    resumed = dslc.loads(SMALL % 8)
    resumed.resume(tmp_path / "c")
    twins = [resumed, resumed.copy()]
    records = [[r["loss"] for r in twin.fit(x, y, epochs=2).records] for twin in twins]
    assert records[0] == records[1] and len(records[0]) == 4


def test_predictions_while_it_trains() -> None:
    """Each prediction is made with the parameters of one moment between two slices: with all biases and weights tied to
    one number by the data, the outputs show whether they belong together. They do not wait for the end of training."""
    model = dslc.loads(
        "net Moves {\n input x: 1\n dense(64, init=zeros) -> linear\n}\n"
        "train {\n loss mse\n optimizer sgd(lr=0.0001)\n batch 1\n shuffle off\n}"
    )
    x, y = np.ones((200_000, 1), np.float32), np.ones((200_000, 64), np.float32)
    stop, waits, outputs = threading.Event(), [], []

    def watch() -> None:
        while not stop.is_set():
            began = time.perf_counter()
            outputs.append(model.predict(x[:1])[0])
            waits.append(time.perf_counter() - began)
            time.sleep(0.01)

    watcher = threading.Thread(target=watch)
    watcher.start()
    trained = model.fit(x, y, epochs=4)
    stop.set()
    watcher.join()
    alone = model.copy()
    assert len(trained.records) == 4 and np.isfinite(alone.predict(x[:1])).all()
    moved = np.array(outputs)
    assert (moved == moved[:, :1]).all(), "every unit has the same target: a mixture of two moments would differ"
    assert (np.diff(moved[:, 0]) >= 0).all() and len(np.unique(moved[:, 0])) > 3
    assert max(waits) < 5


def test_training_beside_predictions_ends_in_the_bits_of_training_alone() -> None:
    x, y = learnable(3000)
    alone, watched = dslc.loads(SMALL % 8), dslc.loads(SMALL % 8)
    alone.fit(x, y)
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            watched.predict(x[:64])
            watched.parameters["dense1.weight"].numpy()
            watched.evaluate(x[:64], y[:64])

    watcher = threading.Thread(target=watch)
    watcher.start()
    watched.fit(x, y)
    stop.set()
    watcher.join()
    for name, array in alone.copy_weights().items():
        np.testing.assert_array_equal(watched.parameters[name].numpy(), array)


def test_two_trainings_of_one_model_are_done_one_after_the_other() -> None:
    x, y = learnable(500)
    model, by_turns = dslc.loads(SMALL % 8), dslc.loads(SMALL % 8)
    with ThreadPoolExecutor(2) as pool:
        histories = [task.result() for task in [pool.submit(model.fit, x, y) for _ in range(2)]]
    wanted = [by_turns.fit(x, y) for _ in range(2)]
    assert sorted(h.records[0]["loss"] for h in histories) == sorted(h.records[0]["loss"] for h in wanted)
    for name, array in by_turns.copy_weights().items():
        np.testing.assert_array_equal(model.parameters[name].numpy(), array)


def test_threads_that_need_room_at_once_have_the_most_that_one_of_them_needs() -> None:
    """Under `batch all`, whoever comes last: a network never gets smaller."""
    model, (x, y) = dslc.loads(SMALL % "all"), learnable(100 + WORKERS)
    together(lambda number: model.loss(x[: 100 + number], y[: 100 + number]))
    assert model.batch == 99 + WORKERS


def test_threads_that_copy_weights_between_two_models_do_not_wait_for_each_other() -> None:
    """One this way, one the other way round; also between the parts of a model, each of which takes what is newest."""
    first = dslc.loads(SMALL % 8)
    second, part = first.copy(), first.part("dense1")
    x, name = np.zeros((1, 6), np.float32), "dense1.weight"

    def work(number: int) -> None:
        mine, other = (first, second)[:: 1 if number % 2 else -1]
        for _ in range(300):
            mine.parameters[name][...] = other.parameters[name]
            mine.parameters[name] = other.parameters[name]
            mine.parameters[name][0] = other.parameters[name][0]
            mine.restore_weights({name: other.parameters[name]})
            (first, part)[number % 2].predict(x)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(before)
    assert not any(thread.is_alive() for thread in threads)


def test_a_process_that_is_forked_while_a_model_is_in_use_is_told_so() -> None:
    """The child has a lock that is held, and no thread that would give it back; a copy works, and so do locks that are
    free or held by the thread that forks."""
    model, (x, y) = dslc.loads(SMALL % 8), learnable(20)
    twin, busy, done = model.copy(), threading.Event(), threading.Event()

    def work() -> None:
        with model._fitting, model.lock:
            busy.set()
            done.wait(60)

    worker = threading.Thread(target=work)
    worker.start()
    busy.wait()
    with twin.lock:
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            calls = (lambda: model.predict(x), lambda: model.fit(x, y), model.parameters["dense1.bias"].numpy)
            try:
                refused = [isinstance(error_of(call), dslc.DataError) for call in calls]
                os._exit(0 if all(refused) and twin.predict(x).shape == (20, 3) else 1)
            finally:
                os._exit(2)
    _, status = os.waitpid(child, 0)
    done.set()
    worker.join()
    assert status == 0 and model.predict(x).shape == (20, 3)


def test_a_process_that_is_forked_while_a_module_is_loaded_can_load_others() -> None:
    busy = threading.Event()

    def load() -> None:
        with build._loading:
            busy.set()
            time.sleep(0.2)

    worker = threading.Thread(target=load)
    worker.start()
    busy.wait()
    child = os.fork()
    if child == 0:
        os._exit(0 if build._loading.acquire(timeout=5) else 1)
    assert os.waitpid(child, 0)[1] == 0
    worker.join()


def error_of(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


@pytest.fixture
def interruptible() -> Iterator[None]:
    """A process that was started in the background may ignore Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_while_another_thread_is_at_work(interruptible: None) -> None:
    """Who waits for the model stops waiting; the model stays usable."""
    model, x = dslc.loads(SMALL % 8), np.zeros((1, 6), np.float32)
    busy, done = threading.Event(), threading.Event()

    def work() -> None:
        with model.compiled.lock:
            busy.set()
            done.wait(60)

    worker = threading.Thread(target=work)
    worker.start()
    busy.wait()
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    began = time.perf_counter()
    with pytest.raises(KeyboardInterrupt):
        model.predict(x)
    assert time.perf_counter() - began < 30
    done.set()
    worker.join()
    assert model.predict(x).shape == (1, 3)


def test_views_stay_live_when_the_network_grows() -> None:
    """`batch all` is compiled again for more examples: what was handed out before shows and writes the parameters of
    now, and the optimizer's state and the step come along. A plan for fewer examples may add up in another order."""
    close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-7)
    x, y = learnable(150)
    model, wanted = dslc.loads(SMALL % "all"), dslc.loads(SMALL % 150)
    mapping, view = model.parameters, model.parameters["dense1.weight"]
    state = model.compiled.states()["dense1.weight.v"]
    for count in (100, 150):
        model.fit(x[:count], y[:count], epochs=2)
        wanted.fit(x[:count], y[:count], epochs=2)
        assert model.batch == count
        close(view.numpy(), wanted.parameters["dense1.weight"].numpy())
        np.testing.assert_array_equal(mapping["dense1.weight"].numpy(), view.numpy())
        close(state.numpy(), wanted.compiled.states()["dense1.weight.v"].numpy())
    assert model.step == wanted.step == 4
    before = model.predict(x[:5])
    view[...] = 0
    mapping["dense1.bias"] = np.zeros(9)
    assert not np.array_equal(before, model.predict(x[:5]))
    np.testing.assert_array_equal(model.predict(x[:1]), model.predict(7 * x[:1]), "tanh(0) whatever the input")
