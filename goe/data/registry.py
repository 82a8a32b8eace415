"""What is known of every data set: its files, where they come from, and how to get what can't be downloaded.

Facts only; `goe.data.store` looks at the disk, and the modules named by `reader` read the images. Checksums and
addresses are those of torchvision, pytorch-ood and the data sets' own pages.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

Role: TypeAlias = Literal["id", "outliers", "ood"]
Reader: TypeAlias = Literal[
    "built-in", "cifar", "npy", "svhn", "idx", "folder", "list", "tiny-images", "imagenet-batches", "bundle"
]


@dataclass(frozen=True, slots=True)
class Download:
    """One file to fetch into the data root."""

    url: str
    file: str
    """Its place, relative to the data root."""
    md5: str
    size: int | None = None
    """Bytes, where known."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set of the field."""

    name: str
    title: str
    roles: tuple[Role, ...]
    reader: Reader
    place: str = ""
    """File or folder under the data root by which it is present; empty for built-in sets."""
    images: str = ""
    """What of it is used."""
    download: Download | None = None
    unpack: bool = False
    """Whether `download` is an archive that makes `place`."""
    size: int | None = None
    """Bytes of the file `place`, where they are known and goe doesn't download it."""
    how: str = ""
    """How to get it, where goe can't fetch it."""
    licence: str = "not stated by its authors"
    source: str = ""
    warning: str = ""
    sums: tuple[tuple[str, str], ...] = ()
    """Files in `place` with their md5, where all that is used of the set is known so."""


_TORONTO = "https://www.cs.toronto.edu/~kriz"
_DROPBOX = "https://www.dropbox.com/s/raw"
_SCOOD_DRIVE = "https://drive.google.com/file/d/1cbLXZ39xnJjxXnDM7g2KODHIjE0Qj4gu"
_OPENOOD = "https://github.com/Jingkang50/OpenOOD"

ALL: tuple[DataSet, ...] = (
    DataSet("digits", "Handwritten digits of scikit-learn", ("id",), "built-in", images="800 + 150 train, 300 test",
            licence="CC BY 4.0", source="https://archive.ics.uci.edu/dataset/80"),
    DataSet("spiral", "Two spirals in the plane", ("id",), "built-in", images="2,500 + 500 points"),
    DataSet(
        "cifar10", "CIFAR-10", ("id", "ood"), "cifar", "cifar-10-batches-py", "50,000 train, 10,000 test",
        Download(f"{_TORONTO}/cifar-10-python.tar.gz", "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a",
                 170_498_071),
        unpack=True, source=f"{_TORONTO}/cifar.html",
        sums=(
            ("data_batch_1", "c99cafc152244af753f735de768cd75f"),
            ("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
            ("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
            ("data_batch_4", "634d18415352ddfa80567beed471001a"),
            ("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
            ("test_batch", "40351d587109b95175f43aff81a1287e"),
            ("batches.meta", "5ff9c542aee3614f3951f8cda6e48888"),
        ),
    ),
    DataSet(
        "cifar100", "CIFAR-100", ("id", "ood"), "cifar", "cifar-100-python", "50,000 train, 10,000 test",
        Download(f"{_TORONTO}/cifar-100-python.tar.gz", "cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85",
                 169_001_437),
        unpack=True, source=f"{_TORONTO}/cifar.html",
        sums=(
            ("train", "16019d7e3df5f24257cddd939b257f8d"),
            ("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
            ("meta", "7973b15100ade9c7d40fb424638fde48"),
        ),
    ),
    DataSet("china", "Patches of a photograph", ("outliers",), "built-in", images="as many as asked for",
            licence="CC BY 2.0", source="https://scikit-learn.org/stable/datasets/loading_other_datasets.html"),
    DataSet("square", "Points of a square around the spirals", ("outliers",), "built-in",
            images="as many as asked for"),
    DataSet(
        "random-300k", "300K Random Images", ("outliers",), "npy", "300K_random_images.npy", "300,000 of 32 x 32",
        Download("https://people.eecs.berkeley.edu/~hendrycks/300K_random_images.npy", "300K_random_images.npy",
                 "64ca64357de98351f28454274a112dc3"),
        source="https://github.com/hendrycks/outlier-exposure",
    ),
    DataSet(
        "tiny-images", "80 Million Tiny Images", ("outliers",), "tiny-images", "tiny_images.bin",
        "79,302,017 of 32 x 32", size=243_615_796_224,
        how="it was withdrawn by its authors and is not downloaded; goe reads a copy that you have. Put beside it "
            "80mn_cifar_idxs.txt of hendrycks/outlier-exposure/utils: the images that are also in CIFAR",
        licence="withdrawn", source="https://groups.csail.mit.edu/vision/TinyImages",
        warning="withdrawn on 29 June 2020 for offensive classes and images; its authors ask not to use it and to "
                "delete copies. random-300k is the usual replacement",
    ),
    DataSet(
        "tin-597", "TIN-597, OpenOOD's training outliers", ("outliers",), "list", "openood/images_classic/tin597",
        "597 classes of ImageNet at 64 x 64",
        how="OpenOOD's scripts/download/download.py fetches it; its lists go to openood/benchmark_imglist",
        source=_OPENOOD,
    ),
    DataSet(
        "tiny-imagenet", "Tiny ImageNet-200", ("outliers", "ood"), "folder", "tiny-imagenet-200",
        "100,000 train, 10,000 validation of 64 x 64",
        Download("http://cs231n.stanford.edu/tiny-imagenet-200.zip", "tiny-imagenet-200.zip",
                 "90528d7ca1a48142e341f4ef8d21d0de"),
        unpack=True, source="http://cs231n.stanford.edu",
        warning="its classes are those of SC-OOD's and OpenOOD's test set tin: as outliers it gives them away",
    ),
    DataSet("imagenet-32", "ImageNet 32 x 32", ("outliers",), "imagenet-batches", "imagenet-32", "1,281,167",
            how="sign in at image-net.org, download Imagenet32_train and put train_data_batch_1 … 10 there",
            licence="ImageNet terms of access", source="https://image-net.org/download-images"),
    DataSet("imagenet-64", "ImageNet 64 x 64", ("outliers",), "imagenet-batches", "imagenet-64", "1,281,167",
            how="sign in at image-net.org, download Imagenet64_train and put train_data_batch_1 … 10 there",
            licence="ImageNet terms of access", source="https://image-net.org/download-images"),
    DataSet(
        "svhn", "Street View House Numbers", ("ood",), "svhn", "test_32x32.mat", "26,032 test",
        Download("http://ufldl.stanford.edu/housenumbers/test_32x32.mat", "test_32x32.mat",
                 "eb5a983be6a315427106f1b164d9cef3"),
        licence="non-commercial use", source="http://ufldl.stanford.edu/housenumbers",
    ),
    DataSet(
        "textures", "Describable Textures (DTD)", ("ood",), "folder", "dtd/images", "5,640",
        Download("https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz", "dtd-r1.0.1.tar.gz",
                 "fff73e5086ae6bdbea199a49dfb8a4c1"),
        unpack=True, licence="research use", source="https://www.robots.ox.ac.uk/~vgg/data/dtd",
    ),
    DataSet(
        "places365", "Places365, validation", ("ood",), "folder", "val_256", "36,500",
        Download("http://data.csail.mit.edu/places/places365/val_256.tar", "val_256.tar",
                 "e27b17d8d44f4af9a78502beb927f808"),
        unpack=True, licence="CC BY for the database, images of their owners", source="http://places2.csail.mit.edu",
    ),
    DataSet(
        "lsun-crop", "LSUN, crops of ODIN's authors", ("ood",), "folder", "LSUN", "10,000 of 32 x 32",
        Download(f"{_DROPBOX}/fhtsw1m3qxlwj6h/LSUN.tar.gz", "LSUN.tar.gz", "458a0a0ab8e5f1cb4516d7400568e460"),
        unpack=True, source="https://github.com/facebookresearch/odin",
    ),
    DataSet(
        "lsun-resize", "LSUN, resized by ODIN's authors", ("ood",), "folder", "LSUN_resize", "10,000 of 32 x 32",
        Download(f"{_DROPBOX}/moqh2wh8696c3yl/LSUN_resize.tar.gz", "LSUN_resize.tar.gz",
                 "278b7b31c8cb7e804a1465a8ce03a2dc"),
        unpack=True, source="https://github.com/facebookresearch/odin",
        warning="resizing left artefacts that alone tell it from CIFAR (Tack et al., CSI, 2020)",
    ),
    DataSet(
        "tin-crop", "Tiny ImageNet, crops of ODIN's authors", ("ood",), "folder", "Imagenet", "10,000 of 32 x 32",
        Download(f"{_DROPBOX}/avgm2u562itwpkl/Imagenet.tar.gz", "Imagenet.tar.gz", "7c0827e4246c3718a5ee076e999e52e5"),
        unpack=True, source="https://github.com/facebookresearch/odin",
    ),
    DataSet(
        "tin-resize", "Tiny ImageNet, resized by ODIN's authors", ("ood",), "folder", "Imagenet_resize",
        "10,000 of 32 x 32",
        Download(f"{_DROPBOX}/kp3my3412u5k9rl/Imagenet_resize.tar.gz", "Imagenet_resize.tar.gz",
                 "0f9ff11d45babf2eff5fe12281d1ac31"),
        unpack=True, source="https://github.com/facebookresearch/odin",
        warning="resizing left artefacts that alone tell it from CIFAR (Tack et al., CSI, 2020)",
    ),
    DataSet(
        "mnist", "MNIST, handwritten digits", ("ood",), "idx", "MNIST/raw/t10k-images-idx3-ubyte.gz", "10,000 test",
        Download("https://ossci-datasets.s3.amazonaws.com/mnist/t10k-images-idx3-ubyte.gz",
                 "MNIST/raw/t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        source="http://yann.lecun.com/exdb/mnist",
    ),
    DataSet(
        "fashion-mnist", "Fashion-MNIST, articles of clothing", ("ood",), "idx",
        "FashionMNIST/raw/t10k-images-idx3-ubyte.gz", "10,000 test",
        Download("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/t10k-images-idx3-ubyte.gz",
                 "FashionMNIST/raw/t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        licence="MIT", source="https://github.com/zalandoresearch/fashion-mnist",
    ),
    DataSet("inaturalist", "iNaturalist, OpenOOD's subset", ("ood",), "folder", "inaturalist", "10,000",
            how="OpenOOD's scripts/download/download.py fetches it; unpack it to that place", source=_OPENOOD),
    DataSet(
        "scood", "SC-OOD benchmark: six test sets for CIFAR-10 and CIFAR-100", ("ood",), "bundle", "scood",
        "lists and images",
        how=f"download it by hand from {_SCOOD_DRIVE} and unpack it so that scood/imglist and scood/images are there",
        source="https://github.com/Jingkang50/ICCV21_SCOOD",
    ),
    DataSet("openood", "OpenOOD v1.5 benchmarks", ("ood",), "bundle", "openood", "lists and images",
            how="OpenOOD's scripts/download/download.py fetches openood/benchmark_imglist and openood/images_classic",
            source=_OPENOOD),
    *(
        DataSet(name, title, ("ood",), "built-in", images="10,000 drawn with a fixed seed")
        for name, title in (
            ("blobs", "Blobs, as in Outlier Exposure"),
            ("gaussian-noise", "Normal noise, standard deviation 0.5"),
            ("uniform-noise", "Uniform noise"),
            ("rademacher-noise", "Pixels of -1 or 1"),
        )
    ),
)  # fmt: skip
BY_NAME: dict[str, DataSet] = {entry.name: entry for entry in ALL}
