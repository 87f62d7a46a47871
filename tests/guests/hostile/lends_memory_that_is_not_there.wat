;; Writes a file of 2^31 bytes out of a memory of 64 KiB.
(module
  (import "llem:experiment/description@VERSION" "[constructor]about"
    (func $about (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "llem:experiment/report@VERSION" "write-artifact" (func $write (param i32 i32 i32 i32 i32)))
  (memory (export "memory") 1)
  ;; The result of `describe` (name, version and summary), and at 48 the result of a successful `run`.
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "llem:experiment/script@VERSION#describe") (result i32)
    (call $about (i32.const 64) (i32.const 5) (i32.const 72) (i32.const 5) (i32.const 80) (i32.const 5)))
  (global $next (mut i32) (i32.const 1024))
  (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    global.get $next
    (global.set $next (i32.add (global.get $next) (i32.and (i32.add (local.get 3) (i32.const 7)) (i32.const -8)))))
  (func (export "llem:experiment/script@VERSION#run") (result i32)
    (call $write (i32.const 64) (i32.const 5) (i32.const 0) (i32.const 0x80000000) (i32.const 256))
    i32.const 48)
)
