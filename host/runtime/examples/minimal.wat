;; The smallest experiment: it describes itself, and its run succeeds at once.
(component
  (import "llem:experiment/types@0.2.0" (instance $types
    (type $code-type (enum
      "invalid-argument" "not-found" "not-granted" "unsupported" "limit-reached" "failed"))
    (export "error-code" (type $code (eq $code-type)))
    (type $error-type (record (field "code" $code) (field "message" string)))
    (export "error" (type $error (eq $error-type)))))
  (alias export $types "error" (type $error))
  (import "llem:experiment/description@0.2.0" (instance $description
    (export "about" (type $about (sub resource)))
    (export "[constructor]about" (func
      (param "name" string) (param "version" string) (param "summary" string)
      (result (own $about))))))
  (alias export $description "about" (type $about))

  ;; The texts of the description start at byte 16. Byte 0 is the result of `run`: 0 means success.
  (core module $memory-module
    (memory (export "memory") 1)
    (data (i32.const 16) "minimal1.0does nothing"))
  (core instance $memory (instantiate $memory-module))
  (core func $new-about
    (canon lower (func $description "[constructor]about") (memory $memory "memory")))
  (core module $script-module
    (import "host" "new-about" (func $new-about (param i32 i32 i32 i32 i32 i32) (result i32)))
    (func (export "describe") (result i32)
      (call $new-about
        (i32.const 16) (i32.const 7)
        (i32.const 23) (i32.const 3)
        (i32.const 26) (i32.const 12)))
    (func (export "run") (result i32) (i32.const 0)))
  (core instance $core (instantiate $script-module
    (with "host" (instance (export "new-about" (func $new-about))))))

  (func $describe (result (own $about)) (canon lift (core func $core "describe")))
  (func $run (result (result (error $error)))
    (canon lift (core func $core "run") (memory $memory "memory")))
  (instance $script (export "describe" (func $describe)) (export "run" (func $run)))
  (export "llem:experiment/script@0.2.0" (instance $script)))
