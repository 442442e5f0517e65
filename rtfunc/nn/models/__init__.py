"""Models with the architectures and parameter names of PyTorch's well-known ones.

Each is a layer, written with the public parts of `rtfunc.nn` alone, and takes its weights from a
`.pth` file of the original:

    from rtfunc import io, nn

    params, state = nn.load_state_dict(io.load_torch(path), *model.init(key, spec))

Initial values are the originals' as well.
"""

from rtfunc.nn.models.gpt import GPT_TIED as GPT_TIED
from rtfunc.nn.models.gpt import gpt as gpt
from rtfunc.nn.models.lenet import lenet as lenet
from rtfunc.nn.models.mlp import mlp as mlp
from rtfunc.nn.models.resnet import resnet as resnet
from rtfunc.nn.models.resnet import resnet18 as resnet18
from rtfunc.nn.models.resnet import resnet34 as resnet34
from rtfunc.nn.models.resnet import resnet50 as resnet50
from rtfunc.nn.models.unet import unet as unet
from rtfunc.nn.models.vae import vae as vae
from rtfunc.nn.models.vae import vae_decode as vae_decode
from rtfunc.nn.models.vae import vae_loss as vae_loss
from rtfunc.nn.models.vgg import vgg as vgg
from rtfunc.nn.models.vgg import vgg11 as vgg11
from rtfunc.nn.models.vgg import vgg11_bn as vgg11_bn
from rtfunc.nn.models.vision_transformer import vision_transformer as vision_transformer
from rtfunc.nn.models.vision_transformer import vit_b_16 as vit_b_16
from rtfunc.nn.models.word_language_model import (
    WORD_LANGUAGE_MODEL_TIED as WORD_LANGUAGE_MODEL_TIED,
)
from rtfunc.nn.models.word_language_model import word_language_model as word_language_model
