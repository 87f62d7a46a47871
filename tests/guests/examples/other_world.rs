//! Implements another world, which the host does not know.

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package test:other;
            world guest { export greet: func() -> string; }
        ",
        world: "guest",
    });
}

struct Guest;

impl bindings::Guest for Guest {
    fn greet() -> String {
        "hello".to_owned()
    }
}

bindings::export!(Guest with_types_in bindings);
