"""Preparing and augmenting images: pure functions of (key, images), for whole batches.

    images = data.images.to_float(images)                          # uint8 to [0, 1]
    images = data.images.random_crop(crop_key, images, 32, padding=4)
    images = data.images.random_flip(flip_key, images)
    images = data.images.normalize(images, mean, std)

Images are arrays [..., channels, height, width], uint8 or floating-point in [0, 1], with any number
of axes in front; what is random is drawn for each image by itself. All of it can be jitted, so that
it runs in the training step or beside it, batched by `vmap` and, where it is continuous,
differentiated. `geometry` moves pixels, `colour` changes their values, `random_augment` does both at
random, `mixing` blends images with one another.
"""

from rtfunc.data.images.colour import adjust_brightness as adjust_brightness
from rtfunc.data.images.colour import adjust_contrast as adjust_contrast
from rtfunc.data.images.colour import adjust_hue as adjust_hue
from rtfunc.data.images.colour import adjust_saturation as adjust_saturation
from rtfunc.data.images.colour import adjust_sharpness as adjust_sharpness
from rtfunc.data.images.colour import autocontrast as autocontrast
from rtfunc.data.images.colour import color_jitter as color_jitter
from rtfunc.data.images.colour import equalize as equalize
from rtfunc.data.images.colour import grayscale as grayscale
from rtfunc.data.images.colour import normalize as normalize
from rtfunc.data.images.colour import posterize as posterize
from rtfunc.data.images.colour import solarize as solarize
from rtfunc.data.images.colour import to_float as to_float
from rtfunc.data.images.colour import to_uint8 as to_uint8
from rtfunc.data.images.geometry import affine as affine
from rtfunc.data.images.geometry import center_crop as center_crop
from rtfunc.data.images.geometry import crop as crop
from rtfunc.data.images.geometry import flip as flip
from rtfunc.data.images.geometry import pad as pad
from rtfunc.data.images.geometry import random_crop as random_crop
from rtfunc.data.images.geometry import random_flip as random_flip
from rtfunc.data.images.geometry import random_resized_crop as random_resized_crop
from rtfunc.data.images.geometry import resize as resize
from rtfunc.data.images.mixing import cutmix as cutmix
from rtfunc.data.images.mixing import mixup as mixup
from rtfunc.data.images.random_augment import rand_augment as rand_augment
