"""NumPy's interface over immutable arrays that can be differentiated, batched and compiled.

Names, arguments and results are NumPy's, as JAX has them: new arrays are int32 and float32,
functions return new arrays (`out=` is refused), and where JAX and NumPy disagree JAX is followed,
which the functions say. It follows the Python array API standard. One module per subject; importing
this one makes its functions the operators and methods of `Array`.

>>> import rtfunc.numpy as rnp
>>> x = rnp.linspace(0, 1, 3)
>>> rnp.sin(x).sum() + x @ x
Array(2.5708966, dtype=float32)
"""

# ruff: noqa: I001  (one block per module, in the order of subjects)

import importlib
import sys
from typing import TYPE_CHECKING, Any

from rtfunc.core.array import Array as Array
from rtfunc.core.array import install_namespace
from rtfunc.numpy.constants import (
    e as e,
    euler_gamma as euler_gamma,
    inf as inf,
    nan as nan,
    newaxis as newaxis,
    pi as pi,
)
from rtfunc.numpy.dtypes import (
    astype as astype,
    bfloat16 as bfloat16,
    bool as bool,
    bool_ as bool_,
    can_cast as can_cast,
    cdouble as cdouble,
    complex128 as complex128,
    complex64 as complex64,
    complex_ as complex_,
    complexfloating as complexfloating,
    csingle as csingle,
    double as double,
    dtype as dtype,
    finfo as finfo,
    float16 as float16,
    float32 as float32,
    float64 as float64,
    float8_e4m3b11fnuz as float8_e4m3b11fnuz,
    float8_e4m3fn as float8_e4m3fn,
    float8_e4m3fnuz as float8_e4m3fnuz,
    float8_e5m2 as float8_e5m2,
    float8_e5m2fnuz as float8_e5m2fnuz,
    float_ as float_,
    floating as floating,
    generic as generic,
    iinfo as iinfo,
    inexact as inexact,
    int16 as int16,
    int32 as int32,
    int64 as int64,
    int8 as int8,
    int_ as int_,
    integer as integer,
    iscomplexobj as iscomplexobj,
    isdtype as isdtype,
    isrealobj as isrealobj,
    isscalar as isscalar,
    issubdtype as issubdtype,
    number as number,
    promote_types as promote_types,
    result_type as result_type,
    signedinteger as signedinteger,
    single as single,
    uint as uint,
    uint16 as uint16,
    uint32 as uint32,
    uint64 as uint64,
    uint8 as uint8,
    unsignedinteger as unsignedinteger,
    view as view,
)
from rtfunc.numpy.creation import (
    array as array,
    asarray as asarray,
    ascontiguousarray as ascontiguousarray,
    copy as copy,
    empty as empty,
    empty_like as empty_like,
    from_dlpack as from_dlpack,
    frombuffer as frombuffer,
    full as full,
    full_like as full_like,
    ones as ones,
    ones_like as ones_like,
    zeros as zeros,
    zeros_like as zeros_like,
)
from rtfunc.numpy.ranges import (
    arange as arange,
    fromfunction as fromfunction,
    geomspace as geomspace,
    indices as indices,
    linspace as linspace,
    logspace as logspace,
    meshgrid as meshgrid,
    mgrid as mgrid,
    ogrid as ogrid,
)
from rtfunc.numpy.matrices import (
    diag as diag,
    diagflat as diagflat,
    eye as eye,
    identity as identity,
    tri as tri,
    tril as tril,
    triu as triu,
    vander as vander,
)
from rtfunc.numpy.elementwise import (
    abs as abs,
    absolute as absolute,
    acos as acos,
    acosh as acosh,
    add as add,
    angle as angle,
    arccos as arccos,
    arccosh as arccosh,
    arcsin as arcsin,
    arcsinh as arcsinh,
    arctan as arctan,
    arctan2 as arctan2,
    arctanh as arctanh,
    asin as asin,
    asinh as asinh,
    atan as atan,
    atan2 as atan2,
    atanh as atanh,
    cbrt as cbrt,
    clip as clip,
    conj as conj,
    conjugate as conjugate,
    cos as cos,
    cosh as cosh,
    deg2rad as deg2rad,
    degrees as degrees,
    divide as divide,
    divmod as divmod,
    exp as exp,
    exp2 as exp2,
    expm1 as expm1,
    fabs as fabs,
    float_power as float_power,
    floor_divide as floor_divide,
    fmax as fmax,
    fmin as fmin,
    fmod as fmod,
    heaviside as heaviside,
    hypot as hypot,
    imag as imag,
    log as log,
    log10 as log10,
    log1p as log1p,
    log2 as log2,
    logaddexp as logaddexp,
    logaddexp2 as logaddexp2,
    maximum as maximum,
    minimum as minimum,
    mod as mod,
    multiply as multiply,
    negative as negative,
    nextafter as nextafter,
    positive as positive,
    pow as pow,
    power as power,
    rad2deg as rad2deg,
    radians as radians,
    real as real,
    reciprocal as reciprocal,
    remainder as remainder,
    sign as sign,
    sin as sin,
    sinc as sinc,
    sinh as sinh,
    sqrt as sqrt,
    square as square,
    subtract as subtract,
    tan as tan,
    tanh as tanh,
    true_divide as true_divide,
)
from rtfunc.numpy.floating import (
    around as around,
    ceil as ceil,
    copysign as copysign,
    fix as fix,
    floor as floor,
    frexp as frexp,
    ldexp as ldexp,
    modf as modf,
    nan_to_num as nan_to_num,
    rint as rint,
    round as round,
    signbit as signbit,
    spacing as spacing,
    trunc as trunc,
)
from rtfunc.numpy.logic import (
    allclose as allclose,
    array_equal as array_equal,
    array_equiv as array_equiv,
    bitwise_and as bitwise_and,
    bitwise_count as bitwise_count,
    bitwise_invert as bitwise_invert,
    bitwise_left_shift as bitwise_left_shift,
    bitwise_not as bitwise_not,
    bitwise_or as bitwise_or,
    bitwise_right_shift as bitwise_right_shift,
    bitwise_xor as bitwise_xor,
    equal as equal,
    greater as greater,
    greater_equal as greater_equal,
    invert as invert,
    isclose as isclose,
    iscomplex as iscomplex,
    isfinite as isfinite,
    isinf as isinf,
    isnan as isnan,
    isneginf as isneginf,
    isposinf as isposinf,
    isreal as isreal,
    left_shift as left_shift,
    less as less,
    less_equal as less_equal,
    logical_and as logical_and,
    logical_not as logical_not,
    logical_or as logical_or,
    logical_xor as logical_xor,
    not_equal as not_equal,
    right_shift as right_shift,
)
from rtfunc.numpy.reductions import (
    all as all,
    amax as amax,
    amin as amin,
    any as any,
    argmax as argmax,
    argmin as argmin,
    average as average,
    count_nonzero as count_nonzero,
    logsumexp as logsumexp,
    max as max,
    mean as mean,
    min as min,
    prod as prod,
    ptp as ptp,
    std as std,
    sum as sum,
    var as var,
)
from rtfunc.numpy.nan_reductions import (
    nanargmax as nanargmax,
    nanargmin as nanargmin,
    nancumprod as nancumprod,
    nancumsum as nancumsum,
    nanmax as nanmax,
    nanmean as nanmean,
    nanmin as nanmin,
    nanprod as nanprod,
    nanstd as nanstd,
    nansum as nansum,
    nanvar as nanvar,
)
from rtfunc.numpy.cumulation import (
    cumprod as cumprod,
    cumsum as cumsum,
    cumulative_prod as cumulative_prod,
    cumulative_sum as cumulative_sum,
)
from rtfunc.numpy.shape import (
    atleast_1d as atleast_1d,
    atleast_2d as atleast_2d,
    atleast_3d as atleast_3d,
    broadcast_arrays as broadcast_arrays,
    broadcast_shapes as broadcast_shapes,
    broadcast_to as broadcast_to,
    expand_dims as expand_dims,
    flip as flip,
    fliplr as fliplr,
    flipud as flipud,
    matrix_transpose as matrix_transpose,
    moveaxis as moveaxis,
    permute_dims as permute_dims,
    ravel as ravel,
    repeat as repeat,
    reshape as reshape,
    resize as resize,
    roll as roll,
    rollaxis as rollaxis,
    rot90 as rot90,
    squeeze as squeeze,
    swapaxes as swapaxes,
    tile as tile,
    transpose as transpose,
    unstack as unstack,
)
from rtfunc.numpy.padding import (
    pad as pad,
)
from rtfunc.numpy.joining import (
    append as append,
    array_split as array_split,
    block as block,
    column_stack as column_stack,
    concat as concat,
    concatenate as concatenate,
    delete as delete,
    dsplit as dsplit,
    dstack as dstack,
    hsplit as hsplit,
    hstack as hstack,
    insert as insert,
    split as split,
    stack as stack,
    vsplit as vsplit,
    vstack as vstack,
)
from rtfunc.numpy.index_expressions import (
    index as index,
)
from rtfunc.numpy.index_update import (
    IndexUpdater as IndexUpdater,
    fill_diagonal as fill_diagonal,
    place as place,
    put as put,
)
from rtfunc.numpy.indexing import (
    choose as choose,
    compress as compress,
    extract as extract,
    put_along_axis as put_along_axis,
    select as select,
    take as take,
    take_along_axis as take_along_axis,
    where as where,
)
from rtfunc.numpy.diagonals import (
    diagonal as diagonal,
)
from rtfunc.numpy.contraction import (
    cross as cross,
    dot as dot,
    inner as inner,
    kron as kron,
    matmul as matmul,
    matvec as matvec,
    outer as outer,
    tensordot as tensordot,
    trace as trace,
    vdot as vdot,
    vecdot as vecdot,
    vecmat as vecmat,
)
from rtfunc.numpy.einstein import (
    einsum as einsum,
    einsum_path as einsum_path,
)
from rtfunc.numpy.positions import (
    argwhere as argwhere,
    flatnonzero as flatnonzero,
    ix_ as ix_,
    nonzero as nonzero,
    ravel_multi_index as ravel_multi_index,
    unravel_index as unravel_index,
)
from rtfunc.numpy.sorting import (
    argpartition as argpartition,
    argsort as argsort,
    digitize as digitize,
    lexsort as lexsort,
    partition as partition,
    searchsorted as searchsorted,
    sort as sort,
    sort_complex as sort_complex,
)
from rtfunc.numpy.sets import (
    UniqueAll as UniqueAll,
    UniqueCounts as UniqueCounts,
    UniqueInverse as UniqueInverse,
    intersect1d as intersect1d,
    isin as isin,
    setdiff1d as setdiff1d,
    setxor1d as setxor1d,
    union1d as union1d,
    unique as unique,
    unique_all as unique_all,
    unique_counts as unique_counts,
    unique_inverse as unique_inverse,
    unique_values as unique_values,
)
from rtfunc.numpy.index_tricks import (
    c_ as c_,
    diag_indices as diag_indices,
    diag_indices_from as diag_indices_from,
    index_exp as index_exp,
    iterable as iterable,
    mask_indices as mask_indices,
    ndim as ndim,
    r_ as r_,
    s_ as s_,
    shape as shape,
    size as size,
    tril_indices as tril_indices,
    tril_indices_from as tril_indices_from,
    triu_indices as triu_indices,
    triu_indices_from as triu_indices_from,
)
from rtfunc.numpy.calculus import (
    diff as diff,
    ediff1d as ediff1d,
    gradient as gradient,
    interp as interp,
    trapezoid as trapezoid,
    unwrap as unwrap,
)
from rtfunc.numpy.quantiles import (
    median as median,
    nanmedian as nanmedian,
    nanpercentile as nanpercentile,
    nanquantile as nanquantile,
    percentile as percentile,
    quantile as quantile,
)
from rtfunc.numpy.covariance import (
    corrcoef as corrcoef,
    cov as cov,
)
from rtfunc.numpy.histograms import (
    bincount as bincount,
    histogram as histogram,
    histogram2d as histogram2d,
    histogram_bin_edges as histogram_bin_edges,
    histogramdd as histogramdd,
)
from rtfunc.numpy.filters import (
    convolve as convolve,
    correlate as correlate,
)
from rtfunc.numpy.windows import (
    bartlett as bartlett,
    blackman as blackman,
    hamming as hamming,
    hanning as hanning,
    i0 as i0,
    kaiser as kaiser,
)
from rtfunc.numpy.polynomials import (
    poly as poly,
    polyadd as polyadd,
    polyder as polyder,
    polydiv as polydiv,
    polyfit as polyfit,
    polyint as polyint,
    polymul as polymul,
    polysub as polysub,
    polyval as polyval,
    roots as roots,
    trim_zeros as trim_zeros,
)
from rtfunc.numpy.integers import (
    gcd as gcd,
    lcm as lcm,
    packbits as packbits,
    unpackbits as unpackbits,
)
from rtfunc.numpy.mapping import (
    apply_along_axis as apply_along_axis,
    apply_over_axes as apply_over_axes,
    frompyfunc as frompyfunc,
    piecewise as piecewise,
    ufunc as ufunc,
    vectorize as vectorize,
)
from rtfunc.numpy.files import (
    fromfile as fromfile,
    fromiter as fromiter,
    fromstring as fromstring,
    load as load,
    save as save,
    savez as savez,
)
from rtfunc.numpy.printing import (
    array_repr as array_repr,
    array_str as array_str,
    get_printoptions as get_printoptions,
    printoptions as printoptions,
    set_printoptions as set_printoptions,
)
from rtfunc.numpy import ufunc_methods as ufunc_methods  # attaches add.reduce and the like
from rtfunc.numpy import fft as fft
from rtfunc.numpy.standard import (
    __array_api_version__ as __array_api_version__,
    __array_namespace_info__ as __array_namespace_info__,
)

if TYPE_CHECKING:
    from rtfunc.numpy import linalg as linalg

#: The class of arrays, under NumPy's name.
ndarray = Array

#: Loaded when first used, to keep `import rtfunc` quick.
_lazy = ("linalg",)


def __getattr__(name: str) -> Any:
    if name in _lazy:
        return importlib.import_module(f"rtfunc.numpy.{name}")
    raise AttributeError(f"module 'rtfunc.numpy' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_lazy})


install_namespace(sys.modules[__name__])
