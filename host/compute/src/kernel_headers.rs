//! The header files that kernels include. Both compilers, NVRTC and the C++ compiler, get all of them.

/// Name and text of each header file.
pub(crate) const HEADERS: &[(&str, &str)] = &[
    ("attention.h", include_str!("../kernels/attention.h")),
    ("attention_split.h", include_str!("../kernels/attention_split.h")),
    ("emulation.h", include_str!("../kernels/emulation.h")),
    ("fibers.h", include_str!("../kernels/fibers.h")),
    ("grouped.h", include_str!("../kernels/grouped.h")),
    ("once.h", include_str!("../kernels/once.h")),
    ("ranked.h", include_str!("../kernels/ranked.h")),
    ("real.h", include_str!("../kernels/real.h")),
    ("reduce.h", include_str!("../kernels/reduce.h")),
    ("sequence.h", include_str!("../kernels/sequence.h")),
    ("tensor_core.h", include_str!("../kernels/tensor_core.h")),
    ("vector.h", include_str!("../kernels/vector.h")),
];
