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

import sys

from rtfunc.core.array import Array as Array
from rtfunc.core.array import install_namespace
from rtfunc.numpy.constants import (
    e as e,
)
from rtfunc.numpy.constants import (
    euler_gamma as euler_gamma,
)
from rtfunc.numpy.constants import (
    inf as inf,
)
from rtfunc.numpy.constants import (
    nan as nan,
)
from rtfunc.numpy.constants import (
    newaxis as newaxis,
)
from rtfunc.numpy.constants import (
    pi as pi,
)
from rtfunc.numpy.contraction import (
    cross as cross,
)
from rtfunc.numpy.contraction import (
    dot as dot,
)
from rtfunc.numpy.contraction import (
    inner as inner,
)
from rtfunc.numpy.contraction import (
    kron as kron,
)
from rtfunc.numpy.contraction import (
    matmul as matmul,
)
from rtfunc.numpy.contraction import (
    outer as outer,
)
from rtfunc.numpy.contraction import (
    tensordot as tensordot,
)
from rtfunc.numpy.contraction import (
    trace as trace,
)
from rtfunc.numpy.contraction import (
    vdot as vdot,
)
from rtfunc.numpy.contraction import (
    vecdot as vecdot,
)
from rtfunc.numpy.creation import (
    array as array,
)
from rtfunc.numpy.creation import (
    asarray as asarray,
)
from rtfunc.numpy.creation import (
    ascontiguousarray as ascontiguousarray,
)
from rtfunc.numpy.creation import (
    copy as copy,
)
from rtfunc.numpy.creation import (
    empty as empty,
)
from rtfunc.numpy.creation import (
    empty_like as empty_like,
)
from rtfunc.numpy.creation import (
    from_dlpack as from_dlpack,
)
from rtfunc.numpy.creation import (
    frombuffer as frombuffer,
)
from rtfunc.numpy.creation import (
    full as full,
)
from rtfunc.numpy.creation import (
    full_like as full_like,
)
from rtfunc.numpy.creation import (
    ones as ones,
)
from rtfunc.numpy.creation import (
    ones_like as ones_like,
)
from rtfunc.numpy.creation import (
    zeros as zeros,
)
from rtfunc.numpy.creation import (
    zeros_like as zeros_like,
)
from rtfunc.numpy.cumulation import (
    cumprod as cumprod,
)
from rtfunc.numpy.cumulation import (
    cumsum as cumsum,
)
from rtfunc.numpy.cumulation import (
    cumulative_prod as cumulative_prod,
)
from rtfunc.numpy.cumulation import (
    cumulative_sum as cumulative_sum,
)
from rtfunc.numpy.diagonals import (
    diagonal as diagonal,
)
from rtfunc.numpy.dtypes import (
    astype as astype,
)
from rtfunc.numpy.dtypes import (
    bfloat16 as bfloat16,
)
from rtfunc.numpy.dtypes import (
    bool as bool,
)
from rtfunc.numpy.dtypes import (
    bool_ as bool_,
)
from rtfunc.numpy.dtypes import (
    can_cast as can_cast,
)
from rtfunc.numpy.dtypes import (
    cdouble as cdouble,
)
from rtfunc.numpy.dtypes import (
    complex64 as complex64,
)
from rtfunc.numpy.dtypes import (
    complex128 as complex128,
)
from rtfunc.numpy.dtypes import (
    complex_ as complex_,
)
from rtfunc.numpy.dtypes import (
    complexfloating as complexfloating,
)
from rtfunc.numpy.dtypes import (
    csingle as csingle,
)
from rtfunc.numpy.dtypes import (
    double as double,
)
from rtfunc.numpy.dtypes import (
    dtype as dtype,
)
from rtfunc.numpy.dtypes import (
    finfo as finfo,
)
from rtfunc.numpy.dtypes import (
    float8_e4m3b11fnuz as float8_e4m3b11fnuz,
)
from rtfunc.numpy.dtypes import (
    float8_e4m3fn as float8_e4m3fn,
)
from rtfunc.numpy.dtypes import (
    float8_e4m3fnuz as float8_e4m3fnuz,
)
from rtfunc.numpy.dtypes import (
    float8_e5m2 as float8_e5m2,
)
from rtfunc.numpy.dtypes import (
    float8_e5m2fnuz as float8_e5m2fnuz,
)
from rtfunc.numpy.dtypes import (
    float16 as float16,
)
from rtfunc.numpy.dtypes import (
    float32 as float32,
)
from rtfunc.numpy.dtypes import (
    float64 as float64,
)
from rtfunc.numpy.dtypes import (
    float_ as float_,
)
from rtfunc.numpy.dtypes import (
    floating as floating,
)
from rtfunc.numpy.dtypes import (
    generic as generic,
)
from rtfunc.numpy.dtypes import (
    iinfo as iinfo,
)
from rtfunc.numpy.dtypes import (
    inexact as inexact,
)
from rtfunc.numpy.dtypes import (
    int8 as int8,
)
from rtfunc.numpy.dtypes import (
    int16 as int16,
)
from rtfunc.numpy.dtypes import (
    int32 as int32,
)
from rtfunc.numpy.dtypes import (
    int64 as int64,
)
from rtfunc.numpy.dtypes import (
    int_ as int_,
)
from rtfunc.numpy.dtypes import (
    integer as integer,
)
from rtfunc.numpy.dtypes import (
    iscomplexobj as iscomplexobj,
)
from rtfunc.numpy.dtypes import (
    isdtype as isdtype,
)
from rtfunc.numpy.dtypes import (
    isrealobj as isrealobj,
)
from rtfunc.numpy.dtypes import (
    isscalar as isscalar,
)
from rtfunc.numpy.dtypes import (
    issubdtype as issubdtype,
)
from rtfunc.numpy.dtypes import (
    number as number,
)
from rtfunc.numpy.dtypes import (
    promote_types as promote_types,
)
from rtfunc.numpy.dtypes import (
    result_type as result_type,
)
from rtfunc.numpy.dtypes import (
    signedinteger as signedinteger,
)
from rtfunc.numpy.dtypes import (
    single as single,
)
from rtfunc.numpy.dtypes import (
    uint as uint,
)
from rtfunc.numpy.dtypes import (
    uint8 as uint8,
)
from rtfunc.numpy.dtypes import (
    uint16 as uint16,
)
from rtfunc.numpy.dtypes import (
    uint32 as uint32,
)
from rtfunc.numpy.dtypes import (
    uint64 as uint64,
)
from rtfunc.numpy.dtypes import (
    unsignedinteger as unsignedinteger,
)
from rtfunc.numpy.dtypes import (
    view as view,
)
from rtfunc.numpy.einstein import (
    einsum as einsum,
)
from rtfunc.numpy.elementwise import (
    abs as abs,
)
from rtfunc.numpy.elementwise import (
    absolute as absolute,
)
from rtfunc.numpy.elementwise import (
    acos as acos,
)
from rtfunc.numpy.elementwise import (
    acosh as acosh,
)
from rtfunc.numpy.elementwise import (
    add as add,
)
from rtfunc.numpy.elementwise import (
    angle as angle,
)
from rtfunc.numpy.elementwise import (
    arccos as arccos,
)
from rtfunc.numpy.elementwise import (
    arccosh as arccosh,
)
from rtfunc.numpy.elementwise import (
    arcsin as arcsin,
)
from rtfunc.numpy.elementwise import (
    arcsinh as arcsinh,
)
from rtfunc.numpy.elementwise import (
    arctan as arctan,
)
from rtfunc.numpy.elementwise import (
    arctan2 as arctan2,
)
from rtfunc.numpy.elementwise import (
    arctanh as arctanh,
)
from rtfunc.numpy.elementwise import (
    asin as asin,
)
from rtfunc.numpy.elementwise import (
    asinh as asinh,
)
from rtfunc.numpy.elementwise import (
    atan as atan,
)
from rtfunc.numpy.elementwise import (
    atan2 as atan2,
)
from rtfunc.numpy.elementwise import (
    atanh as atanh,
)
from rtfunc.numpy.elementwise import (
    cbrt as cbrt,
)
from rtfunc.numpy.elementwise import (
    clip as clip,
)
from rtfunc.numpy.elementwise import (
    conj as conj,
)
from rtfunc.numpy.elementwise import (
    conjugate as conjugate,
)
from rtfunc.numpy.elementwise import (
    cos as cos,
)
from rtfunc.numpy.elementwise import (
    cosh as cosh,
)
from rtfunc.numpy.elementwise import (
    deg2rad as deg2rad,
)
from rtfunc.numpy.elementwise import (
    degrees as degrees,
)
from rtfunc.numpy.elementwise import (
    divide as divide,
)
from rtfunc.numpy.elementwise import (
    divmod as divmod,
)
from rtfunc.numpy.elementwise import (
    exp as exp,
)
from rtfunc.numpy.elementwise import (
    exp2 as exp2,
)
from rtfunc.numpy.elementwise import (
    expm1 as expm1,
)
from rtfunc.numpy.elementwise import (
    fabs as fabs,
)
from rtfunc.numpy.elementwise import (
    float_power as float_power,
)
from rtfunc.numpy.elementwise import (
    floor_divide as floor_divide,
)
from rtfunc.numpy.elementwise import (
    fmax as fmax,
)
from rtfunc.numpy.elementwise import (
    fmin as fmin,
)
from rtfunc.numpy.elementwise import (
    fmod as fmod,
)
from rtfunc.numpy.elementwise import (
    heaviside as heaviside,
)
from rtfunc.numpy.elementwise import (
    hypot as hypot,
)
from rtfunc.numpy.elementwise import (
    imag as imag,
)
from rtfunc.numpy.elementwise import (
    log as log,
)
from rtfunc.numpy.elementwise import (
    log1p as log1p,
)
from rtfunc.numpy.elementwise import (
    log2 as log2,
)
from rtfunc.numpy.elementwise import (
    log10 as log10,
)
from rtfunc.numpy.elementwise import (
    logaddexp as logaddexp,
)
from rtfunc.numpy.elementwise import (
    logaddexp2 as logaddexp2,
)
from rtfunc.numpy.elementwise import (
    maximum as maximum,
)
from rtfunc.numpy.elementwise import (
    minimum as minimum,
)
from rtfunc.numpy.elementwise import (
    mod as mod,
)
from rtfunc.numpy.elementwise import (
    multiply as multiply,
)
from rtfunc.numpy.elementwise import (
    negative as negative,
)
from rtfunc.numpy.elementwise import (
    nextafter as nextafter,
)
from rtfunc.numpy.elementwise import (
    positive as positive,
)
from rtfunc.numpy.elementwise import (
    pow as pow,
)
from rtfunc.numpy.elementwise import (
    power as power,
)
from rtfunc.numpy.elementwise import (
    rad2deg as rad2deg,
)
from rtfunc.numpy.elementwise import (
    radians as radians,
)
from rtfunc.numpy.elementwise import (
    real as real,
)
from rtfunc.numpy.elementwise import (
    reciprocal as reciprocal,
)
from rtfunc.numpy.elementwise import (
    remainder as remainder,
)
from rtfunc.numpy.elementwise import (
    sign as sign,
)
from rtfunc.numpy.elementwise import (
    sin as sin,
)
from rtfunc.numpy.elementwise import (
    sinc as sinc,
)
from rtfunc.numpy.elementwise import (
    sinh as sinh,
)
from rtfunc.numpy.elementwise import (
    sqrt as sqrt,
)
from rtfunc.numpy.elementwise import (
    square as square,
)
from rtfunc.numpy.elementwise import (
    subtract as subtract,
)
from rtfunc.numpy.elementwise import (
    tan as tan,
)
from rtfunc.numpy.elementwise import (
    tanh as tanh,
)
from rtfunc.numpy.elementwise import (
    true_divide as true_divide,
)
from rtfunc.numpy.floating import (
    around as around,
)
from rtfunc.numpy.floating import (
    ceil as ceil,
)
from rtfunc.numpy.floating import (
    copysign as copysign,
)
from rtfunc.numpy.floating import (
    fix as fix,
)
from rtfunc.numpy.floating import (
    floor as floor,
)
from rtfunc.numpy.floating import (
    frexp as frexp,
)
from rtfunc.numpy.floating import (
    ldexp as ldexp,
)
from rtfunc.numpy.floating import (
    modf as modf,
)
from rtfunc.numpy.floating import (
    nan_to_num as nan_to_num,
)
from rtfunc.numpy.floating import (
    rint as rint,
)
from rtfunc.numpy.floating import (
    round as round,
)
from rtfunc.numpy.floating import (
    signbit as signbit,
)
from rtfunc.numpy.floating import (
    spacing as spacing,
)
from rtfunc.numpy.floating import (
    trunc as trunc,
)
from rtfunc.numpy.index_expressions import (
    index as index,
)
from rtfunc.numpy.index_update import (
    IndexUpdater as IndexUpdater,
)
from rtfunc.numpy.indexing import (
    choose as choose,
)
from rtfunc.numpy.indexing import (
    compress as compress,
)
from rtfunc.numpy.indexing import (
    extract as extract,
)
from rtfunc.numpy.indexing import (
    put_along_axis as put_along_axis,
)
from rtfunc.numpy.indexing import (
    select as select,
)
from rtfunc.numpy.indexing import (
    take as take,
)
from rtfunc.numpy.indexing import (
    take_along_axis as take_along_axis,
)
from rtfunc.numpy.indexing import (
    where as where,
)
from rtfunc.numpy.joining import (
    append as append,
)
from rtfunc.numpy.joining import (
    array_split as array_split,
)
from rtfunc.numpy.joining import (
    block as block,
)
from rtfunc.numpy.joining import (
    column_stack as column_stack,
)
from rtfunc.numpy.joining import (
    concat as concat,
)
from rtfunc.numpy.joining import (
    concatenate as concatenate,
)
from rtfunc.numpy.joining import (
    delete as delete,
)
from rtfunc.numpy.joining import (
    dsplit as dsplit,
)
from rtfunc.numpy.joining import (
    dstack as dstack,
)
from rtfunc.numpy.joining import (
    hsplit as hsplit,
)
from rtfunc.numpy.joining import (
    hstack as hstack,
)
from rtfunc.numpy.joining import (
    insert as insert,
)
from rtfunc.numpy.joining import (
    split as split,
)
from rtfunc.numpy.joining import (
    stack as stack,
)
from rtfunc.numpy.joining import (
    vsplit as vsplit,
)
from rtfunc.numpy.joining import (
    vstack as vstack,
)
from rtfunc.numpy.logic import (
    allclose as allclose,
)
from rtfunc.numpy.logic import (
    array_equal as array_equal,
)
from rtfunc.numpy.logic import (
    array_equiv as array_equiv,
)
from rtfunc.numpy.logic import (
    bitwise_and as bitwise_and,
)
from rtfunc.numpy.logic import (
    bitwise_count as bitwise_count,
)
from rtfunc.numpy.logic import (
    bitwise_invert as bitwise_invert,
)
from rtfunc.numpy.logic import (
    bitwise_left_shift as bitwise_left_shift,
)
from rtfunc.numpy.logic import (
    bitwise_not as bitwise_not,
)
from rtfunc.numpy.logic import (
    bitwise_or as bitwise_or,
)
from rtfunc.numpy.logic import (
    bitwise_right_shift as bitwise_right_shift,
)
from rtfunc.numpy.logic import (
    bitwise_xor as bitwise_xor,
)
from rtfunc.numpy.logic import (
    equal as equal,
)
from rtfunc.numpy.logic import (
    greater as greater,
)
from rtfunc.numpy.logic import (
    greater_equal as greater_equal,
)
from rtfunc.numpy.logic import (
    invert as invert,
)
from rtfunc.numpy.logic import (
    isclose as isclose,
)
from rtfunc.numpy.logic import (
    iscomplex as iscomplex,
)
from rtfunc.numpy.logic import (
    isfinite as isfinite,
)
from rtfunc.numpy.logic import (
    isinf as isinf,
)
from rtfunc.numpy.logic import (
    isnan as isnan,
)
from rtfunc.numpy.logic import (
    isneginf as isneginf,
)
from rtfunc.numpy.logic import (
    isposinf as isposinf,
)
from rtfunc.numpy.logic import (
    isreal as isreal,
)
from rtfunc.numpy.logic import (
    left_shift as left_shift,
)
from rtfunc.numpy.logic import (
    less as less,
)
from rtfunc.numpy.logic import (
    less_equal as less_equal,
)
from rtfunc.numpy.logic import (
    logical_and as logical_and,
)
from rtfunc.numpy.logic import (
    logical_not as logical_not,
)
from rtfunc.numpy.logic import (
    logical_or as logical_or,
)
from rtfunc.numpy.logic import (
    logical_xor as logical_xor,
)
from rtfunc.numpy.logic import (
    not_equal as not_equal,
)
from rtfunc.numpy.logic import (
    right_shift as right_shift,
)
from rtfunc.numpy.matrices import (
    diag as diag,
)
from rtfunc.numpy.matrices import (
    diagflat as diagflat,
)
from rtfunc.numpy.matrices import (
    eye as eye,
)
from rtfunc.numpy.matrices import (
    identity as identity,
)
from rtfunc.numpy.matrices import (
    tri as tri,
)
from rtfunc.numpy.matrices import (
    tril as tril,
)
from rtfunc.numpy.matrices import (
    triu as triu,
)
from rtfunc.numpy.matrices import (
    vander as vander,
)
from rtfunc.numpy.nan_reductions import (
    nanargmax as nanargmax,
)
from rtfunc.numpy.nan_reductions import (
    nanargmin as nanargmin,
)
from rtfunc.numpy.nan_reductions import (
    nancumprod as nancumprod,
)
from rtfunc.numpy.nan_reductions import (
    nancumsum as nancumsum,
)
from rtfunc.numpy.nan_reductions import (
    nanmax as nanmax,
)
from rtfunc.numpy.nan_reductions import (
    nanmean as nanmean,
)
from rtfunc.numpy.nan_reductions import (
    nanmin as nanmin,
)
from rtfunc.numpy.nan_reductions import (
    nanprod as nanprod,
)
from rtfunc.numpy.nan_reductions import (
    nanstd as nanstd,
)
from rtfunc.numpy.nan_reductions import (
    nansum as nansum,
)
from rtfunc.numpy.nan_reductions import (
    nanvar as nanvar,
)
from rtfunc.numpy.padding import (
    pad as pad,
)
from rtfunc.numpy.positions import (
    argwhere as argwhere,
)
from rtfunc.numpy.positions import (
    flatnonzero as flatnonzero,
)
from rtfunc.numpy.positions import (
    ix_ as ix_,
)
from rtfunc.numpy.positions import (
    nonzero as nonzero,
)
from rtfunc.numpy.positions import (
    ravel_multi_index as ravel_multi_index,
)
from rtfunc.numpy.positions import (
    unravel_index as unravel_index,
)
from rtfunc.numpy.ranges import (
    arange as arange,
)
from rtfunc.numpy.ranges import (
    fromfunction as fromfunction,
)
from rtfunc.numpy.ranges import (
    geomspace as geomspace,
)
from rtfunc.numpy.ranges import (
    indices as indices,
)
from rtfunc.numpy.ranges import (
    linspace as linspace,
)
from rtfunc.numpy.ranges import (
    logspace as logspace,
)
from rtfunc.numpy.ranges import (
    meshgrid as meshgrid,
)
from rtfunc.numpy.ranges import (
    mgrid as mgrid,
)
from rtfunc.numpy.ranges import (
    ogrid as ogrid,
)
from rtfunc.numpy.reductions import (
    all as all,
)
from rtfunc.numpy.reductions import (
    amax as amax,
)
from rtfunc.numpy.reductions import (
    amin as amin,
)
from rtfunc.numpy.reductions import (
    any as any,
)
from rtfunc.numpy.reductions import (
    argmax as argmax,
)
from rtfunc.numpy.reductions import (
    argmin as argmin,
)
from rtfunc.numpy.reductions import (
    average as average,
)
from rtfunc.numpy.reductions import (
    count_nonzero as count_nonzero,
)
from rtfunc.numpy.reductions import (
    logsumexp as logsumexp,
)
from rtfunc.numpy.reductions import (
    max as max,
)
from rtfunc.numpy.reductions import (
    mean as mean,
)
from rtfunc.numpy.reductions import (
    min as min,
)
from rtfunc.numpy.reductions import (
    prod as prod,
)
from rtfunc.numpy.reductions import (
    ptp as ptp,
)
from rtfunc.numpy.reductions import (
    std as std,
)
from rtfunc.numpy.reductions import (
    sum as sum,
)
from rtfunc.numpy.reductions import (
    var as var,
)
from rtfunc.numpy.sets import (
    UniqueAll as UniqueAll,
)
from rtfunc.numpy.sets import (
    UniqueCounts as UniqueCounts,
)
from rtfunc.numpy.sets import (
    UniqueInverse as UniqueInverse,
)
from rtfunc.numpy.sets import (
    isin as isin,
)
from rtfunc.numpy.sets import (
    unique as unique,
)
from rtfunc.numpy.sets import (
    unique_all as unique_all,
)
from rtfunc.numpy.sets import (
    unique_counts as unique_counts,
)
from rtfunc.numpy.sets import (
    unique_inverse as unique_inverse,
)
from rtfunc.numpy.sets import (
    unique_values as unique_values,
)
from rtfunc.numpy.shape import (
    atleast_1d as atleast_1d,
)
from rtfunc.numpy.shape import (
    atleast_2d as atleast_2d,
)
from rtfunc.numpy.shape import (
    atleast_3d as atleast_3d,
)
from rtfunc.numpy.shape import (
    broadcast_arrays as broadcast_arrays,
)
from rtfunc.numpy.shape import (
    broadcast_shapes as broadcast_shapes,
)
from rtfunc.numpy.shape import (
    broadcast_to as broadcast_to,
)
from rtfunc.numpy.shape import (
    expand_dims as expand_dims,
)
from rtfunc.numpy.shape import (
    flip as flip,
)
from rtfunc.numpy.shape import (
    fliplr as fliplr,
)
from rtfunc.numpy.shape import (
    flipud as flipud,
)
from rtfunc.numpy.shape import (
    matrix_transpose as matrix_transpose,
)
from rtfunc.numpy.shape import (
    moveaxis as moveaxis,
)
from rtfunc.numpy.shape import (
    permute_dims as permute_dims,
)
from rtfunc.numpy.shape import (
    ravel as ravel,
)
from rtfunc.numpy.shape import (
    repeat as repeat,
)
from rtfunc.numpy.shape import (
    reshape as reshape,
)
from rtfunc.numpy.shape import (
    resize as resize,
)
from rtfunc.numpy.shape import (
    roll as roll,
)
from rtfunc.numpy.shape import (
    rollaxis as rollaxis,
)
from rtfunc.numpy.shape import (
    rot90 as rot90,
)
from rtfunc.numpy.shape import (
    squeeze as squeeze,
)
from rtfunc.numpy.shape import (
    swapaxes as swapaxes,
)
from rtfunc.numpy.shape import (
    tile as tile,
)
from rtfunc.numpy.shape import (
    transpose as transpose,
)
from rtfunc.numpy.shape import (
    unstack as unstack,
)
from rtfunc.numpy.sorting import (
    argpartition as argpartition,
)
from rtfunc.numpy.sorting import (
    argsort as argsort,
)
from rtfunc.numpy.sorting import (
    digitize as digitize,
)
from rtfunc.numpy.sorting import (
    lexsort as lexsort,
)
from rtfunc.numpy.sorting import (
    partition as partition,
)
from rtfunc.numpy.sorting import (
    searchsorted as searchsorted,
)
from rtfunc.numpy.sorting import (
    sort as sort,
)
from rtfunc.numpy.sorting import (
    sort_complex as sort_complex,
)
from rtfunc.numpy.standard import (
    __array_api_version__ as __array_api_version__,
)
from rtfunc.numpy.standard import (
    __array_namespace_info__ as __array_namespace_info__,
)

#: The class of arrays, under NumPy's name.
ndarray = Array

install_namespace(sys.modules[__name__])
