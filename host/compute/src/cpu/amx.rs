//! Intel's tile registers (AMX; Sapphire Rapids and later): products of bf16, sixteen rows by sixteen
//! outputs at a time. Source of instructions and layouts: Intel's Software Developer's Manual, volume 1,
//! chapter 18, and volume 2, `LDTILECFG`, `TDPBF16PS`.
//!
//! ```text
//! x [32 rows, 64 bytes] · panel [16 steps, 2 x 64 bytes]  ->  sums [32 rows, 32 outputs]
//!    tmm4                    tmm6     tmm7                       tmm0  tmm1
//!    tmm5                                                        tmm2  tmm3
//! ```
//!
//! The layout of the panels is what tiles want as it is. Rust has no stable intrinsics for tiles yet, so
//! the inner loops are assembly.

/// Rows of a tile.
pub const TILE_ROWS: usize = 16;
/// Bytes of a tile's row.
pub const TILE_BYTES: usize = 64;

pub use tiles::{Tiles, available};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles {
    use super::{TILE_BYTES, TILE_ROWS};
    use std::{arch::asm, sync::OnceLock};

    /// Whether the processor has tiles and the kernel lets this process use them.
    pub fn available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| {
            // CPUID leaf 7: AMX-BF16, AMX-TILE.
            const NEEDED: u32 = 1 << 22 | 1 << 24;
            let has = std::arch::x86_64::__cpuid_count(7, 0).edx & NEEDED == NEEDED;
            // Linux asks programs to ask (Documentation/arch/x86/xstate.rst).
            const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
            const XFEATURE_XTILEDATA: libc::c_long = 18;
            // SAFETY: the call changes nothing but this permission.
            has && unsafe {
                libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
            } == 0
        })
    }

    /// The tile registers of this thread: sixteen rows of 64 bytes each.
    pub struct Tiles(());

    #[repr(C, align(64))]
    struct Palette {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_a_row: [u16; 16],
        rows: [u8; 16],
    }

    impl Tiles {
        /// Sets them up, where they are [`available`].
        pub fn set_up() -> Self {
            debug_assert!(available());
            let mut palette = Palette {
                palette: 1,
                start_row: 0,
                reserved: [0; 14],
                bytes_a_row: [0; 16],
                rows: [0; 16],
            };
            palette.bytes_a_row[..8].fill(TILE_BYTES as u16);
            palette.rows[..8].fill(TILE_ROWS as u8);
            // SAFETY: a palette of 64 bytes with sizes that the processor has.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &palette, options(nostack)) };
            Self(())
        }

        /// `TWO`: 32 rows of x, else 16. They lie block by block, each 32 rows of 64 bytes. The sums go
        /// to as many rows of `width` numbers.
        ///
        /// # Safety
        /// The panel holds `16 * blocks` steps of 128 bytes, x `blocks` blocks, and `sums` may be
        /// written.
        pub unsafe fn multiply_bf16<const TWO: bool>(
            &self,
            panel: *const u8,
            blocks: usize,
            x: *const u8,
            sums: *mut f32,
            width: usize,
        ) {
            if TWO {
                // SAFETY: the caller's; the loop reads what it says and writes all of the sums.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "tilezero tmm2",
                        "tilezero tmm3",
                        "2:",
                        "tileloadd tmm6, [{b} + {sb}]",
                        "tileloadd tmm4, [{a} + {sa}]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tileloadd tmm5, [{a} + {sa} + 1024]",
                        "tdpbf16ps tmm2, tmm5, tmm6",
                        "tileloadd tmm7, [{b} + {sb} + 64]",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "tdpbf16ps tmm3, tmm5, tmm7",
                        "add {a}, 2048",
                        "add {b}, 2048",
                        "dec {n}",
                        "jnz 2b",
                        "tilestored [{c0} + {sc}], tmm0",
                        "tilestored [{c0} + {sc} + 64], tmm1",
                        "tilestored [{c1} + {sc}], tmm2",
                        "tilestored [{c1} + {sc} + 64], tmm3",
                        a = inout(reg) x => _,
                        b = inout(reg) panel => _,
                        n = inout(reg) blocks => _,
                        sa = in(reg) TILE_BYTES,
                        sb = in(reg) 128usize,
                        c0 = in(reg) sums,
                        c1 = in(reg) sums.wrapping_add(TILE_ROWS * width),
                        sc = in(reg) 4 * width,
                        options(nostack),
                    );
                }
            } else {
                // SAFETY: as above, for the first half of the sums.
                unsafe {
                    asm!(
                        "tilezero tmm0",
                        "tilezero tmm1",
                        "2:",
                        "tileloadd tmm6, [{b} + {sb}]",
                        "tileloadd tmm7, [{b} + {sb} + 64]",
                        "tileloadd tmm4, [{a} + {sa}]",
                        "tdpbf16ps tmm0, tmm4, tmm6",
                        "tdpbf16ps tmm1, tmm4, tmm7",
                        "add {a}, 2048",
                        "add {b}, 2048",
                        "dec {n}",
                        "jnz 2b",
                        "tilestored [{c} + {sc}], tmm0",
                        "tilestored [{c} + {sc} + 64], tmm1",
                        a = inout(reg) x => _,
                        b = inout(reg) panel => _,
                        n = inout(reg) blocks => _,
                        sa = in(reg) TILE_BYTES,
                        sb = in(reg) 128usize,
                        c = in(reg) sums,
                        sc = in(reg) 4 * width,
                        options(nostack),
                    );
                }
            }
        }
    }

    impl Drop for Tiles {
        fn drop(&mut self) {
            // SAFETY: back to how threads begin, so that switching between them is cheap again.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod tiles {
    /// Whether the processor has tiles and the kernel lets this process use them.
    pub fn available() -> bool {
        false
    }

    /// Tile registers, which this machine has not got.
    pub enum Tiles {}

    impl Tiles {
        /// Never called where there are none.
        pub fn set_up() -> Self {
            unreachable!("no tile registers on this platform")
        }

        /// Never called where there are none.
        ///
        /// # Safety
        /// None.
        pub unsafe fn multiply_bf16<const TWO: bool>(
            &self,
            _: *const u8,
            _: usize,
            _: *const u8,
            _: *mut f32,
            _: usize,
        ) {
            match *self {}
        }
    }
}
