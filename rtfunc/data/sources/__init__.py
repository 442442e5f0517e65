"""Where data come from: the digits in the package, and readers for common kinds of files.

`handwritten` has the digits, `idx` MNIST's format, `cifar` CIFAR's binary one, `image_files`
pictures and folders of them, `tables` CSV and Parquet, `text_files` lines of text. Each gives a
dataset for a loader. A damaged file raises `FileFormatError`.
"""

from rtfunc.data.sources.cifar import cifar10 as cifar10
from rtfunc.data.sources.cifar import cifar100 as cifar100
from rtfunc.data.sources.handwritten import digits as digits
from rtfunc.data.sources.idx import mnist as mnist
from rtfunc.data.sources.idx import read_idx as read_idx
from rtfunc.data.sources.image_files import ImageFolder as ImageFolder
from rtfunc.data.sources.image_files import read_image as read_image
from rtfunc.data.sources.tables import read_csv as read_csv
from rtfunc.data.sources.tables import read_parquet as read_parquet
from rtfunc.data.sources.text_files import TextLines as TextLines
