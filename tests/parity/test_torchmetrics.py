"""The torchmetrics adapter against torchmetrics 1.9.0: values, resamples, and the contract used."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import numpy as np
import pytest

from evalkit import catalogue
from evalkit.adapters.torch_states import flattened
from evalkit.errors import MetricError, UnavailableError
from evalkit.metric import Metric
from evalkit.records.example import Example, System
from evalkit.table import Table
from evalkit.tables.build import Builder

torch: Any = pytest.importorskip("torch", reason="torch is not installed")
library: Any = pytest.importorskip("torchmetrics", reason="torchmetrics is not installed")

Base: Any = library.Metric
FRONT: Any = catalogue.metric_class("torchmetrics")
WORDS = "the a cat dog sat on mat runs big red fast and slow blue bird sky".split()
CLASSES = 5
# name, arguments, records, examples, way, tolerance
CASES = [
    ("classification.MulticlassAccuracy", "num_classes=5,average=micro", "labels", 300, "sums", 0),
    ("classification.MulticlassAccuracy", "num_classes=5,top_k=2", "shares", 300, "sums", 0),
    ("classification.MulticlassF1Score", "num_classes=5", "labels", 300, "sums", 0),
    ("classification.MulticlassF1Score", "num_classes=5,average=none", "shares", 300, "sums", 0),
    ("classification.MulticlassConfusionMatrix", "num_classes=5", "labels", 300, "sums", 0),
    ("classification.MulticlassCohenKappa", "num_classes=5", "labels", 300, "sums", 0),
    ("classification.MulticlassJaccardIndex", "num_classes=5", "labels", 300, "sums", 0),
    ("classification.BinaryF1Score", "", "binary", 300, "sums", 0),
    ("classification.BinaryAUROC", "thresholds=50", "binary", 300, "sums", 0),
    ("classification.BinaryAUROC", "", "binary", 300, "inputs", 0),
    ("classification.MulticlassAUROC", "num_classes=5", "shares", 300, "inputs", 0),
    ("classification.BinaryCalibrationError", "", "binary", 100, "inputs", 0),
    ("nominal.CramersV", "num_classes=5", "labels", 300, "sums", 1e-6),
    ("regression.MeanSquaredError", "", "numbers", 300, "sums", 6e-7),
    ("regression.R2Score", "", "numbers", 300, "sums", 2e-5),
    ("regression.PearsonCorrCoef", "", "numbers", 300, "inputs", 1e-6),
    ("regression.SpearmanCorrCoef", "", "numbers", 300, "inputs", 0),
    ("text.BLEUScore", "", "texts", 100, "sums", 0),
    ("text.SacreBLEUScore", "smooth=true", "texts", 100, "sums", 0),
    ("text.CHRFScore", "", "texts", 8, "sums", 0),
    ("text.TranslationEditRate", "", "texts", 30, "sums", 0),
    ("text.WordErrorRate", "", "text", 100, "sums", 0),
    ("text.CharErrorRate", "", "text", 40, "sums", 0),
    ("text.ExtendedEditDistance", "", "texts", 8, "values", 1e-6),
    ("text.ROUGEScore", "rouge_keys=(rouge1,rougeL)", "texts", 40, "values", 1e-6),
]


def examples_of(records: str, count: int, seed: int = 7) -> list[Example]:
    generator = np.random.default_rng(seed)
    made = []
    for i in range(count):
        prediction: Any
        references: tuple[Any, ...]
        if records in ("text", "texts"):
            truth = list(generator.choice(WORDS, generator.integers(5, 12)))
            prediction = " ".join(truth)
            references = tuple(
                " ".join(
                    w if generator.random() < 0.6 else str(generator.choice(WORDS)) for w in truth
                )
                for _ in range(1 if records == "text" else 2)
            )
        elif records == "numbers":
            prediction = float(generator.random())
            references = (prediction + float(generator.random()),)
        else:
            classes = 2 if records == "binary" else CLASSES
            target = int(generator.integers(classes))
            shares = generator.random(classes).astype(np.float32)
            shares[target] += 0.4
            shares /= shares.sum()
            prediction = {str(j): float(share) for j, share in enumerate(shares)}
            if records == "labels":
                prediction = str(target if generator.random() < 0.6 else i % classes)
            references = (str(target),)
        made.append(Example(f"{i:04d}", prediction, references))
    return made


def theirs(metric: Any, records: str, examples: Sequence[Example]) -> Any:
    """torchmetrics' own value after one update with all examples."""
    predictions: Any = [one.prediction for one in examples]
    targets: Any = [one.references[0] for one in examples]
    if records == "texts":
        targets = [list(one.references) for one in examples]
    elif records == "numbers":
        predictions, targets = torch.tensor(predictions), torch.tensor(targets)
    elif records != "text":
        targets = torch.tensor([int(one) for one in targets])
        if records == "labels":
            predictions = torch.tensor([int(one) for one in predictions])
        else:
            predictions = torch.tensor([list(one.values()) for one in predictions])
            predictions = predictions[:, 1] if records == "binary" else predictions
    metric.reset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        metric.update(predictions, targets)
        return np.array([value for _, value in flattened(metric.compute())])


def table_of(metric: Metric, examples: Sequence[Example]) -> Table:
    fitted = metric.fit([one.references for one in examples])
    return Builder().table(metric, System("made-up", examples), fitted, "of a test")


def value(metric: Metric, examples: Sequence[Example]) -> Any:
    table = table_of(metric, examples)
    return metric.score(metric.prepare(table), np.ones((1, len(examples)), np.uint8))[0]


@pytest.mark.parametrize(("path", "arguments", "records", "count", "way", "tolerance"), CASES)
def test_value_and_twenty_resamples(
    path: str, arguments: str, records: str, count: int, way: str, tolerance: float
) -> None:
    """tolerance 0: bit-equal; else what float32 states added in another order may cost."""
    metric = catalogue.metric(f"torchmetrics:{path}:{arguments}")
    examples = examples_of(records, count)
    table = table_of(metric, examples)
    assert table.header.scoring["mode"] == way
    weights = np.random.default_rng(1).poisson(1.0, (20, count)).astype(np.uint8)
    weights[0] = 1
    found = metric.score(metric.prepare(table), weights)
    own = metric._driven.metric.clone()  # type: ignore[attr-defined]
    for row, values in zip(weights, found, strict=True):
        repeated = [examples[i] for i in np.repeat(np.arange(count), row)]
        expected = theirs(own, records, repeated)
        np.testing.assert_allclose(values, expected, rtol=0, atol=tolerance)


def test_clusters_and_slices() -> None:
    for case in ("classification.MulticlassF1Score", "classification.MulticlassAUROC"):
        metric = catalogue.metric(f"torchmetrics:{case}:num_classes=5")
        table = table_of(metric, examples_of("shares", 60))
        cluster_of = np.arange(60) // 3
        weights = np.random.default_rng(2).poisson(1.0, (9, 20)).astype(np.uint8)
        by_cluster, errors = metric.scorer(table, cluster_of).measure(weights, errors=True)
        by_example, _ = metric.scorer(table).measure(weights[:, cluster_of], errors=False)
        assert np.array_equal(by_cluster, by_example)
        assert np.isnan(errors).all()
        mask = np.arange(60) < 40
        part = metric.scorer(table.take(mask)).measure(np.ones((1, 40), np.uint8), errors=False)
        assert np.array_equal(part[0], metric.scorer(table).measure(mask[None], errors=False)[0])


def test_an_empty_resample_is_undefined() -> None:
    metric = catalogue.metric("torchmetrics:classification.MulticlassF1Score:num_classes=5")
    table = table_of(metric, examples_of("labels", 20))
    assert np.isnan(metric.score(table, np.zeros((1, 20), np.uint8))).all()


def test_labels_by_name_stand_in_sorted_order() -> None:
    names = ["cat", "dog", "bird"]
    numbered = examples_of("labels", 60)
    named = [
        Example(one.id, names[int(one.prediction) % 3], (names[int(one.references[0]) % 3],))
        for one in numbered
    ]
    metric = catalogue.metric(
        "torchmetrics:classification.MulticlassF1Score:num_classes=3,average=none"
    )
    fitted = metric.fit([one.references for one in named])
    assert [one.name for one in metric.output_list(fitted)] == [
        f"multiclass_f1_score_{name}" for name in sorted(names)
    ]
    assert "classes:bird,cat,dog" in metric.signature(fitted)
    rank = {name: str(i) for i, name in enumerate(sorted(names))}
    ranked = [Example(one.id, rank[one.prediction], (rank[one.references[0]],)) for one in named]
    assert np.array_equal(value(metric, named), value(metric, ranked))


@pytest.mark.parametrize(
    ("spec", "examples", "message"),
    [
        ("classification.MulticlassAccuracy:num_classes=2", [("c", "a"), ("a", "b")], "never show"),
        ("classification.MulticlassAccuracy:num_classes=3", [("a", "a"), ("a", "b")], "3 classes"),
        ("classification.MulticlassAUROC:num_classes=2", [("0", "0"), ("1", "1")], "probability"),
        (
            "classification.MulticlassAccuracy:num_classes=2",
            [("0", "0"), ({"0": 0.2, "1": 0.8}, "1")],
            "some predictions are labels",
        ),
        ("text.WordErrorRate", [("a", ["a", "b"])], "one reference"),
        ("regression.CosineSimilarity", [(1.0, 1.0)], "does not read evalkit's numbers"),
        ("classification.BinaryROC", [("0", "0")], "cannot be resampled"),
        ("classification.MulticlassConfusionMatrix:num_classes=17", [("0", "0")], "289 values"),
        ("text.TranslationEditRate:return_sentence_level_score=true", [("a", "b")], "resampled"),
        ("text.BLEUScor", [("a", "b")], 'did you mean "BLEUScore"'),
        ("text.BLEUScore:ngram=2", [("a", "b")], 'did you mean "n_gram"'),
        ("classification.MulticlassF1Score:num_classes=0", [("0", "0")], "num_classes"),
    ],
)
def test_what_cannot_be_scored_says_why(
    spec: str, examples: list[tuple[Any, Any]], message: str
) -> None:
    made = [
        Example(str(i), prediction, tuple(truth) if isinstance(truth, list) else (truth,))
        for i, (prediction, truth) in enumerate(examples)
    ]
    with pytest.raises(MetricError, match=message):
        value(catalogue.metric(f"torchmetrics:{spec}"), made)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "which metric"),
        ("MulticlassF1Score", "which metric"),
        ("detection.MeanAveragePrecision", "coco_ap"),
        ("detection.mean_ap.MeanAveragePrecision", "coco_ap"),
        ("image.PeakSignalNoiseRatio", "no images"),
        ("text.BERTScore", "bertscore"),
        ("text.bert.BERTScore", "bertscore"),
        ("text.InfoLM", "bertscore"),
        ("classification.MultilabelF1Score:num_labels=3", "one label"),
        ("classification.F1Score:task=multilabel,num_labels=3", "one label"),
        ("nowhere.F1Score", "none of"),
        ("classification.MulticlassF1Score:num_classes", "NAME=VALUE"),
        ("classification.MulticlassF1Score:object=12ab", "pass the object"),
    ],
)
def test_refused_by_name(spec: str, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        catalogue.metric(f"torchmetrics:{spec}").fit([("0",), ("1",)])


def test_refused_as_an_object() -> None:
    with pytest.raises(MetricError, match="no images"):
        FRONT.of(library.image.PeakSignalNoiseRatio(data_range=1.0))
    with pytest.raises(MetricError, match="evalkit resamples"):
        FRONT.of(library.wrappers.BootStrapper(library.MeanSquaredError()))


def test_fractional_weights_only_where_nothing_is_counted() -> None:
    """Counts are whole numbers in torchmetrics, which would round them in silence."""
    for path, records in (("BinaryAUROC", "binary"), ("BinaryF1Score", "binary")):
        metric = catalogue.metric(f"torchmetrics:classification.{path}")
        table = table_of(metric, examples_of(records, 20))
        with pytest.raises(MetricError, match="whole numbers"):
            metric.score(table, np.full((1, 20), 0.33))
    metric = catalogue.metric("torchmetrics:text.BLEUScore")
    table = table_of(metric, examples_of("texts", 20))
    thirds, ones = (metric.score(table, np.full((1, 20), w))[0, 0] for w in (0.33, 1.0))
    assert thirds == pytest.approx(ones, rel=1e-6)


def test_one_example_too_few_is_undefined() -> None:
    metric = catalogue.metric("torchmetrics:regression.R2Score")
    assert np.isnan(value(metric, examples_of("numbers", 1)))


def test_what_torchmetrics_warns_of_is_a_remark() -> None:
    metric = catalogue.metric("torchmetrics:classification.MulticlassAUROC:num_classes=5")
    examples = [one for one in examples_of("shares", 60) if one.references != ("4",)]
    said = dict(metric.remarks(table_of(metric, examples)))
    assert "slow" in said["computed-anew"]
    assert "No positive samples" in said["torchmetrics"]
    direction = catalogue.metric("torchmetrics:regression.PearsonCorrCoef")
    assert "direction" in dict(direction.remarks(table_of(direction, examples_of("numbers", 20))))


@pytest.mark.parametrize(
    ("make", "label"),
    [
        (
            lambda: library.classification.MulticlassF1Score(3),
            "torchmetrics:classification.MulticlassF1Score:num_classes=3",
        ),
        (
            lambda: library.Accuracy(task="multiclass", num_classes=3, top_k=2),
            "torchmetrics:classification.MulticlassAccuracy:num_classes=3,top_k=2,average=micro",
        ),
        (lambda: library.classification.BinaryAUROC(), "torchmetrics:classification.BinaryAUROC"),
        (
            lambda: library.text.ROUGEScore(rouge_keys=("rouge1", "rougeL")),
            "torchmetrics:text.ROUGEScore:rouge_keys=(rouge1,rougeL)",
        ),
    ],
)
def test_an_object_is_known_by_the_text_that_makes_it(make: Callable[[], Any], label: str) -> None:
    given = make()
    metric = FRONT.of(given)
    assert metric.label == label
    assert catalogue.metric(label) == metric
    assert FRONT.of(make()) == metric


def test_objects_that_no_text_makes_differ_by_what_they_hold() -> None:
    made = [FRONT.of(library.classification.BinaryAUROC(thresholds=n)) for n in (10, 20, 10)]
    assert "object=" in made[0].label
    assert made[0] == made[2]
    assert made[0] != made[1]
    given = library.classification.BinaryAUROC(thresholds=10)
    given.update(torch.tensor([0.3, 0.8]), torch.tensor([0, 1]))
    assert FRONT.of(given) == made[0]
    assert given.compute() == 1  # what it had seen is still there
    examples = examples_of("binary", 50)
    assert value(made[0], examples) == theirs(given, "binary", examples)


class Spread(Base):  # type: ignore[misc]
    """Its state is a sum, but its update looks at the whole batch."""

    evalkit_reads = "numbers"
    higher_is_better = False

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, predictions: Any, targets: Any) -> None:
        self.total: Any = self.total + (predictions - predictions.mean()).abs().sum()

    def compute(self) -> Any:
        return self.total


def test_an_update_that_depends_on_the_batch_is_found_out() -> None:
    metric = FRONT.of(Spread())
    examples = examples_of("numbers", 40)
    table = table_of(metric, examples)
    assert table.header.scoring["mode"] == "inputs"
    assert metric.score(table, np.ones((1, 40), np.uint8)) == theirs(Spread(), "numbers", examples)
    with pytest.raises(MetricError, match="evalkit_reads"):
        FRONT.of(type("Nameless", (Spread,), {"evalkit_reads": None})())


def test_rouge_lsum_downloads_nothing() -> None:
    nltk = pytest.importorskip("nltk", reason="nltk is not installed")
    try:
        nltk.data.find("tokenizers/punkt_tab")
    except LookupError:
        with pytest.raises(UnavailableError, match="punkt_tab"):
            catalogue.metric("torchmetrics:text.ROUGEScore").fit([("a",)])
    else:
        pytest.skip("nltk's punkt_tab is on this machine, so rougeLsum runs")


def test_flores_downloads_nothing() -> None:
    metric = catalogue.metric("torchmetrics:text.SacreBLEUScore:tokenize=flores200")
    with pytest.raises(UnavailableError, match=r"sentencepiece|fetches a model"):
        metric.fit([("a",)])


def test_contract_of_the_private_names() -> None:
    """What evalkit/adapters/torch_states.py relies on, so that a new version fails here first."""
    assert int(metadata.version("torchmetrics").split(".")[0]) == 1
    metric = library.classification.MulticlassF1Score(3, average="micro")
    assert {one.__name__ for one in metric._reductions.values()} == {"dim_zero_sum"}
    assert set(metric._reductions) == set(metric._defaults) == {"tp", "fp", "tn", "fn"}
    assert metric._update_count == 0
    metric.tp, metric.fp, metric.fn = torch.tensor(3), torch.tensor(1), torch.tensor(1)
    metric._update_count = 1
    assert metric.compute() == 0.75
    assert metric._computed == 0.75
    metric.tp = torch.tensor(1)
    assert metric.compute() == 0.75  # kept, until
    metric._computed = None
    assert metric.compute() == 0.5
    exact = library.classification.BinaryAUROC()
    assert exact._defaults == {"preds": [], "target": []}


def test_their_bertscore_compares_the_sentences_of_different_examples(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Why it is refused. Fails once torchmetrics undoes its sorting; then take the refusal out.

    Words are one-hot vectors, and every prediction repeats the one word of its reference: F1 is 1.
    """
    from torchmetrics.functional.text import helper_embedding_metric as theirs
    from torchmetrics.functional.text.bert import bert_score

    def tokenize(sentences: list[str], *_: Any, **__: Any) -> dict[str, Any]:
        ids = torch.zeros(len(sentences), 8, dtype=torch.long)
        for row, sentence in zip(ids, sentences, strict=True):
            numbers = [1, *(3 + int(word) for word in sentence.split()), 2]
            row[: len(numbers)] = torch.tensor(numbers)
        return {"input_ids": ids, "attention_mask": (ids > 0).long()}

    def embed(model: Any, batch: dict[str, Any]) -> Any:
        return torch.nn.functional.one_hot(batch["input_ids"], 8).float()

    def f1(predictions: list[str], references: list[str]) -> list[float]:
        found: Any = bert_score(
            predictions,
            references,
            model=torch.nn.Identity(),
            user_tokenizer=tokenize,
            user_forward_fn=embed,
            max_length=8,
            num_threads=0,
        )
        return [round(value, 6) for value in found["f1"].reshape(-1).tolist()]

    assert f1(["0 0", "1 1", "2 2"], ["0 0", "1 1", "2 2"]) == [1, 1, 1]
    shuffled = ["0 0 0", "1", "2 2"], ["0", "1 1", "2 2 2"]
    assert f1(*shuffled) != [1, 1, 1]

    def undone(ids: Any, mask: Any) -> tuple[Any, Any, Any]:
        order = mask.sum(1).argsort()
        return ids[order], mask[order], order.argsort()

    monkeypatch.setattr(theirs, "_sort_data_according_length", undone)
    assert f1(*shuffled) == [1, 1, 1]
