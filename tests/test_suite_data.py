"""The suites' samples: the right ones, the same in every process, cold where they should be."""

from __future__ import annotations

import mmap
from pathlib import Path

import pytest
import torch
from little_library import cache, content, sources

from traincost.machine.processor import cpu_set, pinned
from traincost_suites.data import page_cache
from traincost_suites.data.corpus import corpus
from traincost_suites.data.dataset import Bytes, RecordDataset, TokenDataset
from traincost_suites.data.digits import SCALE, SHAPE, digits
from traincost_suites.data.loader import make_loader
from traincost_suites.data.shards import DataUnavailableError, prepare
from traincost_suites.data.source import KINDS, dataset
from traincost_suites.data.synthetic import synthetic

__all__ = ["cache", "sources"]  # fixtures

pytestmark = pytest.mark.usefixtures("cache")


def test_targets_are_the_tokens_shifted_by_one(sources: Path) -> None:
    samples = TokenDataset(corpus(sources), 16)
    text = content(corpus(sources))
    for i in range(9):
        x, y = samples[i]
        assert bytes(x.tolist()) == text[16 * i : 16 * i + 16]
        assert bytes(y.tolist()) == text[16 * i + 1 : 16 * i + 17]


def test_pairs_of_bytes_are_tokens_of_a_large_vocabulary(sources: Path) -> None:
    x, y = TokenDataset(corpus(sources), 8, vocabulary=50_304)[0]
    text = content(corpus(sources))
    pairs = [text[2 * i] * 256 + text[2 * i + 1] for i in range(9)]
    assert x.tolist() == pairs[:-1]
    assert y.tolist() == pairs[1:]


def test_held_out_and_training_samples_are_all_samples_and_share_none() -> None:
    prepared = prepare("range", lambda: [bytes(range(0, 100)), bytes(range(100, 203))])
    shape = (1, 1, 1)  # records of a pixel and a class: 50 in the first shard, 51 in the second
    split = [
        RecordDataset(prepared, shape, scale=1, n_classes=256, held_out=held_out)
        for held_out in (False, True)
    ]
    pixels = [[int(part[i][0]) for i in range(len(part))] for part in split]
    assert sorted(pixels[0] + pixels[1]) == list(range(0, 202, 2))
    assert pixels[1] == list(range(18, 202, 20))


def test_no_sample_crosses_the_end_of_a_shard() -> None:
    prepared = prepare("two", lambda: [b"a" * 48, b"b" * 48])
    samples = TokenDataset(prepared, 16)
    assert len(samples) == 4  # a third sequence would have no target for its last token
    drawn = [bytes(torch.cat([x, y]).tolist()) for x, y in (samples[i] for i in range(4))]
    assert [set(d) for d in drawn] == [{97}, {97}, {98}, {98}]


def test_a_sample_out_of_range_is_refused(sources: Path) -> None:
    samples = TokenDataset(corpus(sources), 16)
    with pytest.raises(IndexError):
        samples[len(samples)]
    with pytest.raises(ValueError, match="n_samples"):
        samples.limit(len(samples) + 1)


@pytest.mark.parametrize("seq_len", [16, 128])
@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize("kind", ["bytes", "byte-pairs", "images"])
def test_synthetic_data_reaches_the_volume_asked_for(
    kind: str, held_out: bool, seq_len: int, sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("traincost_suites.data.source.corpus", lambda: corpus(sources))
    samples = dataset(kind, 700, seq_len=seq_len, held_out=held_out)
    assert samples.shards.name.startswith("synthetic")
    assert len(samples) == 700
    assert samples[699][1].max() < 50_304


def test_a_larger_synthetic_volume_begins_with_the_smaller_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("traincost_suites.data.synthetic.SHARD_BYTES", 1000)
    small, large = synthetic(1500, 10), synthetic(4000, 10)
    assert content(large).startswith(content(small)[:1000])
    assert len(large.shards) == 4
    assert len(content(large)) == 4000


def test_real_data_is_used_as_far_as_it_reaches(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("traincost_suites.data.source.corpus", lambda: corpus(sources))
    assert dataset("bytes", 20, seq_len=128).shards.name.startswith("corpus")
    assert dataset("bytes", 2000, seq_len=128).shards.name.startswith("synthetic")


def test_an_unknown_kind_of_data_is_refused() -> None:
    with pytest.raises(ValueError, match=", ".join(KINDS)):
        dataset("words", 1)


def test_digits_are_those_of_scikit_learn() -> None:
    # the hash of load_digits() of scikit-learn 1.9: pixels and class of each digit, as bytes
    assert digits().sha256.startswith("68aea062d35a127749050fa0e52dca09")
    samples = RecordDataset(digits(), SHAPE, scale=SCALE)
    assert len(samples) == 1797 - 179
    x, y = samples[0]
    assert (x.min().item(), x.max().item(), y.item()) == (0.0, 15 / SCALE, 0)


def test_workers_give_the_same_batches_as_none_in_every_epoch(sources: Path) -> None:
    def epochs(workers: int) -> list[torch.Tensor]:
        loader = make_loader(TokenDataset(corpus(sources), 16), 4, workers=workers, persistent=True)
        return [torch.stack([torch.cat(batch) for batch in loader]) for _ in range(2)]

    alone, helped = epochs(0), epochs(2)
    assert torch.equal(alone[0], alone[1])
    assert torch.equal(torch.stack(alone), torch.stack(helped))


class Cpus(TokenDataset):
    """Samples that tell how many CPUs the process reading them may use."""

    def decode(self, window: Bytes) -> tuple[torch.Tensor, torch.Tensor]:
        n_cpus = torch.tensor(len(cpu_set()))
        return n_cpus, n_cpus


@pytest.mark.skipif(len(cpu_set()) < 2, reason="one CPU: pinned and unpinned are the same")
def test_workers_of_a_pinned_process_are_not_pinned(sources: Path) -> None:
    everywhere = cpu_set()
    samples = Cpus(corpus(sources), 16)
    with pinned(frozenset(sorted(everywhere)[:1])):
        alone, helped = (next(iter(make_loader(samples, 1, workers=w)))[0] for w in (0, 1))
    assert (alone.item(), helped.item()) == (1, len(everywhere))


def test_a_loader_draws_from_no_generator_but_its_own(sources: Path) -> None:
    loader = make_loader(TokenDataset(corpus(sources), 16), 4)
    before = torch.random.get_rng_state()
    list(loader)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_another_seed_shuffles_otherwise(sources: Path) -> None:
    samples = TokenDataset(corpus(sources), 16)
    first, other = (next(iter(make_loader(samples, 32, seed=seed)))[0] for seed in (0, 1))
    assert not torch.equal(first, other)


def test_a_closed_data_set_maps_nothing_and_opens_again(sources: Path) -> None:
    samples = TokenDataset(corpus(sources), 16)
    assert samples._maps == {}
    before = samples[0][0]
    assert samples._maps != {}
    samples.close()
    assert samples._maps == {}
    assert torch.equal(samples[0][0], before)


def test_dropping_shards_from_the_page_cache_is_checked(
    sources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = corpus(sources).paths

    def stays(path: Path) -> int:
        return 4096

    monkeypatch.setattr(page_cache, "resident_bytes", stays)
    with pytest.raises(DataUnavailableError, match="stayed in the page cache"):
        page_cache.drop(paths)


def test_a_file_just_read_is_resident_in_whole_pages(sources: Path) -> None:
    path = corpus(sources).paths[0]
    path.read_bytes()
    n_pages = -(-path.stat().st_size // mmap.PAGESIZE)
    assert page_cache.resident_bytes(path) == n_pages * mmap.PAGESIZE
