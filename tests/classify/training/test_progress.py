from lmclassify.classify.training.progress import FitProgress, LineDisplay, Stage
from lmclassify.lm.neural.trainer import EpochRecord
from lmclassify.text.durations import format_seconds


def record(epoch, *, finished=False):
    return EpochRecord(
        epoch=epoch, max_epochs=4, training_loss=3.0, validation_loss=2.5, best=True, finished=finished,
        tokens=100, seconds=0.1,
    )  # fmt: skip


def test_lines_say_what_has_changed_and_nothing_twice():
    lines = []
    progress = FitProgress(LineDisplay(lines.append, seconds_between=0.0))
    progress.stages = [Stage("first", 2.0), Stage("second", 4.0)]
    progress.begin(1, 4, " of 9 texts")
    for _ in range(3):
        progress.advance()
    progress.end("accuracy 99%")
    progress.begin(2, 400)
    progress.epoch("all labels", record(1))
    progress.epoch("all labels", record(1))
    progress.epoch("ham", record(2, finished=True))
    assert lines[0].startswith("stage 1 of 2: first of 9 texts; about 6 s left")
    assert lines[1].startswith("stage 1 of 2: accuracy 99%; ")
    assert lines[2].startswith("stage 2 of 2: second; about ")
    assert lines[3].startswith("stage 2 of 2: background model, epoch 1 of 4, 2.500 nats/token; about ")
    assert lines[4].startswith("stage 2 of 2: ham, epoch 2 of 4")
    assert len(lines) == 5
    assert progress.stage.share == 1.0  # an epoch that is not needed counts as done


def test_recent_lines_are_not_followed_by_more():
    lines = []
    progress = FitProgress(LineDisplay(lines.append, seconds_between=1e9))
    progress.stages = [Stage("only", 2.0)]
    progress.begin(1, 4)
    progress.advance(1, "something new")
    assert len(lines) == 1


def test_a_fit_without_stages_and_display_counts_nothing():
    progress = FitProgress()
    progress.advance()
    assert progress.seconds_left == 0


def test_what_a_stage_took_corrects_the_prediction_of_the_next():
    first, second = Stage("first", 2.0, seconds=6.0), Stage("second", 4.0)
    progress = FitProgress()
    progress.stages = [first, second]
    assert progress.seconds_left == 12.0


def test_durations():
    assert [format_seconds(seconds) for seconds in (0.2, 8.4, 125, 3780 * 2)] == [
        "1 s", "8 s", "2 min 5 s", "2 h 6 min",
    ]  # fmt: skip
