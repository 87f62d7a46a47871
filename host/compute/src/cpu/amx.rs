//! Intel's tile registers (AMX, in Sapphire Rapids and later): products of bf16, sixteen rows by sixteen outputs at a
//! time.
//!
//! Instructions and layouts are described in Intel's Software Developer's Manual, volume 1, chapter 18, and volume 2,
//! `LDTILECFG` and `TDPBF16PS`.
//!
//! ```text
//! x [32 rows, 64 bytes] · panel [16 steps, 2 x 64 bytes]  ->  sums [32 rows, 32 outputs]
//!    tmm4                    tmm6     tmm7                       tmm0  tmm1
//!    tmm5                                                        tmm2  tmm3
//! ```
//!
//! Panels already have the layout that tiles need. Rust has no stable intrinsics for tiles yet, so the inner loops are
//! assembly.

/// Rows of a tile register.
pub(super) const TILE_ROWS: usize = 16;
/// Bytes of a row of a tile register.
pub(super) const TILE_BYTES: usize = 64;

pub(super) use tiles::{TileRegisters, is_available};

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod tiles {
    use super::{TILE_BYTES, TILE_ROWS};
    use std::{arch::asm, sync::OnceLock};

    /// Returns true if the processor has tile registers and the operating system lets this process use them. The first
    /// call asks for permission.
    pub(crate) fn is_available() -> bool {
        static AVAILABLE: OnceLock<bool> = OnceLock::new();
        *AVAILABLE.get_or_init(|| {
            // CPUID leaf 7, EDX: AMX-BF16 is bit 22, AMX-TILE is bit 24.
            const NEEDED: u32 = 1 << 22 | 1 << 24;
            let has = std::arch::x86_64::__cpuid_count(7, 0).edx & NEEDED == NEEDED;
            // Linux requires that a process asks for permission (Documentation/arch/x86/xstate.rst).
            const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
            const XFEATURE_XTILEDATA: libc::c_long = 18;
            // SAFETY: the call changes nothing but this permission.
            has && unsafe {
                libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
            } == 0
        })
    }

    /// The tile registers of this thread, configured as eight full tiles of sixteen rows by 64 bytes. Dropping it
    /// releases them.
    pub(crate) struct TileRegisters(());

    #[repr(C, align(64))]
    struct Palette {
        palette: u8,
        start_row: u8,
        reserved: [u8; 14],
        bytes_a_row: [u16; 16],
        rows: [u8; 16],
    }

    impl TileRegisters {
        /// Configures the tile registers. Only call it where [`is_available`] returns true.
        pub(crate) fn with_full_tiles() -> Self {
            debug_assert!(is_available());
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

        /// Multiplies rows of x with a panel and writes the sums.
        ///
        /// # Shapes
        /// - `panel`: `[16 * blocks, 2, 64 bytes]` of bf16 pairs
        /// - `x`: `[blocks, 32 rows, 64 bytes]` of bf16, of which the first 32 rows are used with `TWO`, otherwise 16
        /// - `sums`: f32 `[32 or 16, 32]`, written, with `width` numbers from row to row
        ///
        /// # Safety
        /// The pointers are valid for these shapes, and `blocks` is at least 1.
        pub(crate) unsafe fn multiply_bf16<const TWO: bool>(
            &self,
            panel: *const u8,
            blocks: usize,
            x: *const u8,
            sums: *mut f32,
            width: usize,
        ) {
            if TWO {
                // SAFETY: the caller keeps the contract; the loop reads what it says and writes all of the sums.
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

    impl Drop for TileRegisters {
        fn drop(&mut self) {
            // SAFETY: back to how threads begin, so that switching between them is cheap again.
            unsafe { asm!("tilerelease", options(nostack, nomem)) };
        }
    }
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
mod tiles {
    /// Returns false: this platform has no tile registers that llem can use.
    pub fn is_available() -> bool {
        false
    }

    /// Stands in for the tile registers, which this platform does not have. It has no value.
    pub enum TileRegisters {}

    impl TileRegisters {
        /// Panics: [`is_available`] returns false on this platform.
        pub fn with_full_tiles() -> Self {
            unreachable!("no tile registers on this platform")
        }

        /// Cannot be called, because the type has no value.
        ///
        /// # Safety
        /// No requirement.
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
