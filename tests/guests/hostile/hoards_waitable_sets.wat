;; Creates waitable sets without end.
(module
  (import "llem:experiment/description@VERSION" "[constructor]about"
    (func $about (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "$root" "[waitable-set-new]" (func $new (result i32)))
  (memory (export "memory") 1)
  ;; The result of `describe` (name, version and summary), and at 48 the result of a successful `run`.
  (data (i32.const 64) "plain\00\00\000.1.0\00\00\00evil.")
  (func (export "llem:experiment/script@VERSION#describe") (result i32)
    (call $about (i32.const 64) (i32.const 5) (i32.const 72) (i32.const 5) (i32.const 80) (i32.const 5)))
  (func (export "llem:experiment/script@VERSION#run") (result i32)
    (loop $again
      (drop (call $new))
      (br $again))
    unreachable)
)
