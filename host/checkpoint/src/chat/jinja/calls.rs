//! Calls of functions, methods and macros.

use super::{
    arguments::{Arguments, entries_of, int_of, required},
    ast::{Expr, ExprId, Macro},
    fault::{Fault, Fuel, Result},
    interpreter::{Closure, Interpreter, check_namespace_name},
    strftime, strings,
    text::text,
    value::{Function, Held, Key, Range, Value, View},
};
use indexmap::IndexMap;

/// Longest `range`, as in Jinja2's sandbox.
const LONGEST_RANGE: usize = 100_000;

impl Interpreter<'_> {
    /// The value of a call, whose caller a block may be.
    pub(super) fn call_with(&mut self, at: ExprId, caller: Option<Value>) -> Result<Value> {
        self.deeper(|of| of.call_expression(&of.syntax.expressions[at], caller))
    }

    pub(super) fn call_expression(&mut self, call: &Expr, caller: Option<Value>) -> Result<Value> {
        let Expr::Call(callee, arguments) = call else {
            return Err(Fault::invalid("expected call"));
        };
        let callee = self.value(*callee)?;
        let mut given = self.arguments(arguments)?;
        given.named.extend(caller.map(|caller| ("caller".into(), caller)));
        self.fuel.take(1)?;
        match &callee {
            Value::Undefined(why) => Err(Fault::invalid(&**why)),
            Value::Held(Held::Macro, at) => self.call_macro(*at, given),
            Value::Held(Held::Loop, at) => {
                let [over] = given.take("loop", ["iterable"])?;
                self.recurse(*at, &required(over, "loop", "iterable")?)
            }
            Value::Held(Held::Joiner, at) => {
                let [] = given.take("joiner", [])?;
                let (between, used) = &mut self.joiners[*at];
                Ok(if std::mem::replace(used, true) { between.clone() } else { "".into() })
            }
            Value::Function(function) => self.call_function(*function, given),
            Value::Method(of, name) => self.call_method(of, name, given),
            other => Err(Fault::invalid(format!("'{}' object is not callable", other.type_name()))),
        }
    }

    fn call_method(&mut self, of: &Value, name: &str, given: Arguments) -> Result<Value> {
        match of {
            Value::Str(text) => strings::call(text, name, given, self.fuel),
            Value::Dict(dict) => match name {
                "get" => {
                    let [key, default] = given.take("get", ["/", "/default"])?;
                    let key = Key::new(required(key, "get", "key")?)?;
                    Ok(dict.entries.get(&key).cloned().or(default).unwrap_or(Value::None))
                }
                "keys" | "values" | "items" | "copy" => {
                    let [] = given.take(name, [])?;
                    Ok(match name {
                        "keys" => Value::View(View::Keys, dict.clone()),
                        "values" => Value::View(View::Values, dict.clone()),
                        "items" => Value::View(View::Items, dict.clone()),
                        _ => of.clone(),
                    })
                }
                _ => Err(Fault::unsupported(format!("the method dict.{name}"))),
            },
            Value::List(_) | Value::Tuple(_) | Value::Group(_) | Value::Range(_)
                if ["copy", "count", "index"].contains(&name) =>
            {
                call_sequence(of, name, given, self.fuel)
            }
            Value::Held(Held::Loop, at) => self.call_loop_method(*at, name, given),
            Value::Held(Held::Cycler, at) => {
                let [] = given.take(name, [])?;
                let (items, index) = &mut self.cyclers[*at];
                if name == "reset" {
                    *index = 0;
                    return Ok(Value::None);
                }
                let current = items[*index].clone();
                *index = (*index + 1) % items.len();
                Ok(current)
            }
            other => Err(Fault::unsupported(format!("the method {}.{name}", other.type_name()))),
        }
    }

    fn call_loop_method(&mut self, at: usize, name: &str, given: Arguments) -> Result<Value> {
        let of = &mut self.loops[at];
        if name == "cycle" {
            let values = given.positional;
            if values.is_empty() {
                return Err(Fault::invalid("no items for cycling given"));
            }
            return Ok(values[of.index % values.len()].clone());
        }
        let same = of.changed.as_ref() == Some(&given.positional);
        of.changed = Some(given.positional);
        Ok((!same).into())
    }

    fn call_function(&mut self, function: Function, given: Arguments) -> Result<Value> {
        match function {
            Function::Range => self.range(given),
            Function::Dict => {
                let entries = self.dict_entries(given)?;
                Value::dict(entries)
            }
            Function::Namespace => {
                let mut attributes = IndexMap::new();
                for (name, value) in self.dict_entries(given)? {
                    let Value::Str(name) = name.value() else {
                        return Err(Fault::unsupported("a namespace with other names than texts"));
                    };
                    check_namespace_name(name)?;
                    attributes.insert(name.clone(), value);
                }
                self.fuel.take(1 + attributes.len())?;
                self.namespaces.push(attributes);
                Ok(Value::Held(Held::Namespace, self.namespaces.len() - 1))
            }
            Function::Cycler => {
                if given.positional.is_empty() {
                    return Err(Fault::invalid("at least one item has to be provided"));
                }
                self.fuel.take(1 + given.positional.len())?;
                self.cyclers.push((given.positional, 0));
                Ok(Value::Held(Held::Cycler, self.cyclers.len() - 1))
            }
            Function::Joiner => {
                let [between] = given.take("joiner", ["sep"])?;
                self.joiners.push((between.unwrap_or_else(|| ", ".into()), false));
                Ok(Value::Held(Held::Joiner, self.joiners.len() - 1))
            }
            Function::RaiseException => {
                let [message] = given.take("raise_exception", ["message"])?;
                let message = required(message, "raise_exception", "message")?;
                Err(Fault::raised(text(&message, self.fuel)?.to_string()))
            }
            Function::StrftimeNow => {
                let [format] = given.take("strftime_now", ["format"])?;
                match required(format, "strftime_now", "format")? {
                    Value::Str(format) => {
                        self.fuel.take_text(format.len())?;
                        Ok(strftime::strftime(&format, self.now)?.into())
                    }
                    _ => Err(Fault::invalid("strftime() argument 1 must be str")),
                }
            }
            Function::Lipsum => Err(Fault::unsupported("the function 'lipsum', which is random")),
        }
    }

    fn range(&mut self, given: Arguments) -> Result<Value> {
        let [one, two, step] = given.take("range", ["/", "/stop", "/step"])?;
        let one = int_of(&required(one, "range", "stop")?, "range")?;
        let two = two.map(|two| int_of(&two, "range")).transpose()?;
        let step = step.map_or(Ok(1), |step| int_of(&step, "range"))?;
        if step == 0 {
            return Err(Fault::invalid("range() arg 3 must not be zero"));
        }
        let (start, stop) = two.map_or((0, one), |two| (one, two));
        if [start, stop, step].iter().any(|bound| bound.abs() > i64::MAX.into()) {
            return Err(Fault::invalid("Range too big"));
        }
        let range = Range { start, stop, step };
        if range.len() > LONGEST_RANGE {
            return Err(Fault::invalid(format!(
                "Range too big. The sandbox blocks ranges larger than MAX_RANGE ({LONGEST_RANGE})."
            )));
        }
        Ok(Value::Range(range))
    }

    /// What `dict` makes of a mapping or of pairs, and of names.
    fn dict_entries(&mut self, given: Arguments) -> Result<IndexMap<Key, Value>> {
        let mut entries = IndexMap::new();
        if given.positional.len() > 1 {
            return Err(Fault::invalid("dict expected at most 1 argument"));
        }
        match given.positional.first() {
            None => {}
            Some(Value::Dict(dict)) => entries.extend(dict.entries.clone()),
            Some(pairs) => {
                for pair in pairs.iterate()? {
                    let Ok([key, value]) = <[Value; 2]>::try_from(pair.iterate()?) else {
                        return Err(Fault::invalid(
                            "dictionary update sequence element has not two items",
                        ));
                    };
                    entries.insert(Key::new(key)?, value);
                }
            }
        }
        entries.extend(entries_of(given.named));
        self.fuel.take(entries.len())?;
        Ok(entries)
    }

    /// Calls a macro, as Jinja2's `Macro.__call__` takes its arguments.
    pub(super) fn call_macro(&mut self, at: usize, given: Arguments) -> Result<Value> {
        let Closure { definition, scope } = self.macros[at].clone();
        let Arguments { positional, mut named } = given;
        let Macro { name, parameters, defaults, body, special } = &*definition;
        let mut take = |wanted: &str| {
            let at = named.iter().position(|(name, _)| **name == *wanted)?;
            Some(named.remove(at).1)
        };
        let mut values: Vec<Option<Value>> =
            positional.iter().take(parameters.len()).cloned().map(Some).collect();
        for parameter in &parameters[values.len()..] {
            values.push(take(parameter));
        }
        let names_caller = parameters.iter().any(|parameter| **parameter == *"caller");
        let caller = (special.caller && !names_caller).then(|| {
            take("caller").unwrap_or_else(|| Value::Undefined("No caller defined".into()))
        });
        if let (false, Some((unknown, _))) = (special.kwargs, named.first()) {
            return Err(Fault::invalid(format!(
                "macro '{name}' takes no keyword argument '{unknown}'"
            )));
        }
        if !special.varargs && positional.len() > parameters.len() {
            return Err(Fault::invalid(format!(
                "macro '{name}' takes not more than {} argument(s)",
                parameters.len()
            )));
        }
        let first_default = parameters.len() - defaults.len();
        self.in_scope(scope, |own| {
            for (index, (parameter, value)) in parameters.iter().zip(values).enumerate() {
                let value = match (value, index.checked_sub(first_default)) {
                    (Some(value), _) => value,
                    (None, Some(default)) => own.value(defaults[default])?,
                    (None, None) => {
                        Value::Undefined(format!("parameter '{parameter}' was not provided").into())
                    }
                };
                own.set(parameter, value);
            }
            if let Some(caller) = caller {
                own.set(&"caller".into(), caller);
            }
            if special.kwargs {
                own.set(&"kwargs".into(), Value::dict(entries_of(named))?);
            }
            if special.varargs {
                let rest = positional.get(parameters.len()..).unwrap_or_default();
                own.set(&"varargs".into(), Value::tuple(rest.to_vec())?);
            }
            own.capture(|own| own.run(body).map(|_| ()))
        })
    }
}

/// Calls a method of a list, a tuple or a range.
fn call_sequence(of: &Value, method: &str, given: Arguments, fuel: &Fuel) -> Result<Value> {
    let items = match of {
        Value::Range(Range { .. }) => of.iterate()?,
        other => other.items().unwrap_or_default().to_vec(),
    };
    fuel.take(items.len())?;
    match method {
        "copy" => {
            let [] = given.take(method, [])?;
            Value::list(items)
        }
        "count" => {
            let [value] = given.take(method, ["/"])?;
            let value = required(value, method, "value")?;
            Ok(items.iter().filter(|item| **item == value).count().into())
        }
        _ => {
            let [value] = given.take(method, ["/"])?;
            let value = required(value, method, "value")?;
            match items.iter().position(|item| *item == value) {
                Some(at) => Ok(at.into()),
                None => {
                    let shown = text(&value, fuel)?;
                    Err(Fault::invalid(format!("{shown} is not in {}", of.type_name())))
                }
            }
        }
    }
}
