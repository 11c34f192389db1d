import gzip
import struct

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from src.book.storage.data import registry
from src.common.images.sets import (
    cifar10_subset,
    digits,
    fashion_mnist,
    image_set,
    mnist,
    read_idx,
    to_pixels,
)


def test_digits_are_scikit_learns_all_of_them_once_and_always_the_same():
    data, raw = digits(), load_digits()
    assert data.train.shape == (1_500, 1, 8, 8) and data.test.shape == (297, 1, 8, 8)
    assert data.image_shape == (1, 8, 8) and data.number_of_classes == 10
    assert data.train.min() == -1 and data.train.max() == 1
    both = torch.cat([data.train, data.test]).reshape(-1, 64).double()
    labels = torch.cat([data.train_labels, data.test_labels])
    found = sorted([*(16 * (x + 1) / 2).tolist(), y] for x, y in zip(both, labels, strict=True))
    # One row of 64 pixels and the label: the same rows in another order.
    rows = [[*row[:64], row[64]] for row in found]
    truth = sorted([*x, int(y)] for x, y in zip(raw.data.tolist(), raw.target, strict=True))
    assert [[float(v) for v in r] for r in rows] == [[float(v) for v in r] for r in truth]
    assert torch.equal(digits().train, data.train)


def test_the_split_of_the_digits_mixes_writers_and_classes():
    shares = torch.bincount(digits().test_labels, minlength=10) / 297
    assert shares.min() > 0.06 and shares.max() < 0.14
    first = torch.from_numpy(load_digits().images[:1_500]).float().unsqueeze(1) / 8 - 1
    assert not torch.equal(digits().train, first)


def test_pixels_are_cut_to_the_unit_interval():
    values = to_pixels(torch.tensor([-3.0, -1.0, 0.0, 1.0, 1.5]))
    assert values.tolist() == [0.0, 0.0, 0.5, 1.0, 1.0]


def write_idx(file, values, magic=0x0800):
    header = struct.pack(f">{1 + values.ndim}I", magic + values.ndim, *values.shape)
    file.write_bytes(gzip.compress(header + values.tobytes()))
    return file


def test_idx_files_are_read_back_and_wrong_ones_rejected(tmp_path):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    file = write_idx(tmp_path / "a.gz", values)
    assert np.array_equal(read_idx(file, (2, 3, 4)), values)
    with pytest.raises(ValueError, match=r"shape \(2, 4, 3\)"):
        read_idx(file, (2, 4, 3))
    with pytest.raises(ValueError, match="header"):
        read_idx(write_idx(tmp_path / "floats.gz", values, magic=0x0D00), (2, 3, 4))
    short = tmp_path / "short.gz"
    short.write_bytes(gzip.compress(gzip.decompress(file.read_bytes())[:-1]))
    with pytest.raises(ValueError, match="24 bytes, not 23"):
        read_idx(short, (2, 3, 4))
    short.write_bytes(gzip.compress(b"\0\0\x08"))
    with pytest.raises(ValueError):
        read_idx(short, (2, 3, 4))


def test_unknown_sets_are_refused_with_the_valid_names():
    with pytest.raises(ValueError, match="mnist, fashion-mnist, cifar10-subset"):
        image_set("imagenet")
    assert image_set("digits").name == "digits"


def test_downloadable_sets_are_registered():
    for name in ("mnist", "fashion-mnist", "cifar10-subset"):
        assert registry()[name].files


@pytest.mark.parametrize(
    ("reader", "folder", "mean", "std"),
    [(mnist, "mnist", 0.1307, 0.3081), (fashion_mnist, "fashion_mnist", 0.2860, 0.3530)],
)
def test_mnist_and_fashion_mnist_hold_the_published_numbers(data_mirror, reader, folder, mean, std):
    data = reader(data_mirror / folder)
    assert data.train.shape == (60_000, 1, 28, 28) and data.test.shape == (10_000, 1, 28, 28)
    pixels = to_pixels(data.train)  # the mean and deviation that everybody normalises by
    assert float(pixels.mean()) == pytest.approx(mean, abs=1e-4)
    assert float(pixels.std()) == pytest.approx(std, abs=1e-4)
    if folder == "mnist":
        assert data.train_labels[:5].tolist() == [5, 0, 4, 1, 9]
        assert torch.bincount(data.test_labels).tolist()[:2] == [980, 1135]
    else:
        assert torch.bincount(data.train_labels).tolist() == [6_000] * 10
        assert data.class_names[int(data.train_labels[0])] == "ankle boot"


def test_the_cifar_subset_has_the_first_images_the_right_way_up(data_mirror):
    data = cifar10_subset(data_mirror / "cifar10")
    assert data.train.shape == (10_000, 3, 32, 32) and data.test.shape == (2_000, 3, 32, 32)
    assert [data.class_names[k] for k in data.train_labels[:3]] == ["frog", "truck", "truck"]
    assert [data.class_names[k] for k in data.test_labels[:3]] == ["cat", "ship", "ship"]
    # The first pixels of data_batch_1: red, then green and blue in planes.
    pixels = (to_pixels(data.train[0]) * 255).round().int()
    assert pixels[0, 0, :3].tolist() == [59, 43, 50]
    assert pixels[:, 0, 0].tolist() == [59, 62, 63]
    # A tile cut at the wrong place would have an edge in the middle: neighbours are alike.
    steps = (data.train[:, :, :, 1:] - data.train[:, :, :, :-1]).abs().mean(dim=(0, 1, 2))
    assert steps.max() < 1.5 * steps.min()
