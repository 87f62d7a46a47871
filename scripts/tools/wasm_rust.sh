# Sourced by scripts that compile Rust to WebAssembly: chooses the compiler for wasm32-unknown-unknown. It is rustup's
# where rustup has the target or can add it. Where it cannot (no network to rustup), Debian's rustc-web packages are
# extracted to a private folder and the standard library is built from their sources; that needs nothing but a Debian
# mirror. Sets `target`, the array `build_std` of cargo's options, and `remap_std`, an option of rustc.

target=wasm32-unknown-unknown

# Debian's compiler, from an extracted copy of its packages.
use_debian_rust() {
  local home=${XDG_CACHE_HOME:-$HOME/.cache}/llem/rust-web
  if [[ ! -e $home/.done ]]; then
    command -v apt-get >/dev/null || {
      echo "build-guests: no wasm compiler: run 'rustup target add $target', or use a Debian machine" >&2
      exit 1
    }
    mkdir -p "$home/debs"
    [[ $(id -u) -ne 0 ]] || apt-get update -qq
    local std llvm
    std=$(apt-cache depends libstd-rust-web-dev | sed -n 's/.*Depends: \(libstd-rust-web-[0-9.]*\)$/\1/p')
    llvm=$(apt-cache depends "$std" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p')
    (cd "$home/debs" && apt-get download -qq rustc-web "$std" libstd-rust-web-dev rust-web-src "$llvm")
    for package in "$home"/debs/*.deb; do dpkg -x "$package" "$home"; done
    rm -rf "$home/debs"
    touch "$home/.done"
  fi
  local linker
  linker=$(rustc --print sysroot)/lib/rustlib/$(rustc -vV | sed -n 's/^host: //p')/bin/rust-lld
  export RUSTC=$home/usr/bin/rustc RUSTC_BOOTSTRAP=1
  export LD_LIBRARY_PATH=$home/usr/lib/x86_64-linux-gnu:$(echo "$home"/usr/lib/llvm-*/lib)
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
  build_std=(-Zbuild-std=std,panic_abort)
  remap_std=" --remap-path-prefix=$home=/rust"
}

build_std=()
remap_std=
if [[ -z ${LLEM_DEBIAN_RUST:-} ]] &&
  { rustup target list --installed 2>/dev/null | grep -qx "$target" || rustup target add "$target" >/dev/null 2>&1; }; then
  :
else
  use_debian_rust
fi
