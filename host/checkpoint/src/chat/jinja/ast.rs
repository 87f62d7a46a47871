//! The syntax tree of a template. All expressions are in one list and refer to each other by index. A tree of boxes
//! would be dropped recursively, and a very long chain of expressions would then overflow the stack.

use super::value::PyValue;
use std::rc::Rc;

/// The index of an expression in [`Syntax::expressions`].
pub(super) type ExprId = usize;

/// A parsed template.
#[derive(Debug)]
pub(super) struct Syntax {
    pub(super) body: Vec<Node>,
    pub(super) expressions: Vec<Expr>,
}

/// A statement and the line on which it begins, counted from 1.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) line: u32,
    pub(super) statement: Statement,
}

#[derive(Debug)]
pub(super) enum Statement {
    Text(Rc<str>),
    Print(ExprId),
    Set(AssignmentTarget, ExprId),
    /// `{% set x | filter %}...{% endset %}`.
    SetBlock(AssignmentTarget, Option<ExprId>, Vec<Node>),
    For(Rc<For>),
    /// Each condition with its body, and the body of `else`.
    If(Vec<(ExprId, Vec<Node>)>, Vec<Node>),
    With(Vec<(AssignmentTarget, ExprId)>, Vec<Node>),
    Macro(Rc<Macro>),
    /// `{% call %}`: the call, and the body that `caller()` renders.
    Call(ExprId, Rc<Macro>),
    FilterBlock(ExprId, Vec<Node>),
    /// `{% generation %}`, by which transformers marks text of the assistant. The body has its own scope.
    Generation(Vec<Node>),
    Break,
    Continue,
}

#[derive(Debug)]
pub(super) struct For {
    pub(super) target: AssignmentTarget,
    pub(super) over: ExprId,
    pub(super) test: Option<ExprId>,
    pub(super) recursive: bool,
    pub(super) body: Vec<Node>,
    pub(super) otherwise: Vec<Node>,
}

#[derive(Debug)]
pub(super) struct Macro {
    pub(super) name: Rc<str>,
    pub(super) parameters: Vec<Rc<str>>,
    /// Default values of the last parameters, in order.
    pub(super) defaults: Vec<ExprId>,
    pub(super) body: Vec<Node>,
    pub(super) special: SpecialNames,
}

/// Special names that occur in the body of a macro. Each of them lets the macro take arguments beyond its parameters.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SpecialNames {
    pub(super) caller: bool,
    pub(super) varargs: bool,
    pub(super) kwargs: bool,
}

/// The left side of an assignment.
#[derive(Debug)]
pub(super) enum AssignmentTarget {
    Name(Rc<str>),
    /// A namespace and the name of its attribute.
    Attribute(Rc<str>, Rc<str>),
    Tuple(Vec<AssignmentTarget>),
}

#[derive(Debug)]
pub(super) enum Expr {
    Const(PyValue),
    Name(Rc<str>),
    /// The rendered body of a block, to which the filters of the block are applied.
    Captured,
    Tuple(Vec<ExprId>),
    List(Vec<ExprId>),
    Dict(Vec<(ExprId, ExprId)>),
    Attribute(ExprId, Rc<str>),
    Item(ExprId, ExprId),
    /// `value[start:stop:step]`.
    Slice(ExprId, [Option<ExprId>; 3]),
    Call(ExprId, CallArguments),
    Filter(ExprId, Rc<str>, CallArguments),
    Test(ExprId, Rc<str>, CallArguments),
    Not(ExprId),
    Sign(&'static str, ExprId),
    Binary(&'static str, ExprId, ExprId),
    And(ExprId, ExprId),
    Or(ExprId, ExprId),
    Compare(ExprId, Vec<(&'static str, ExprId)>),
    Concat(Vec<ExprId>),
    Conditional {
        test: ExprId,
        yes: ExprId,
        no: Option<ExprId>,
    },
}

/// The arguments of a call, as written.
#[derive(Debug, Default)]
pub(super) struct CallArguments {
    pub(super) positional: Vec<ExprId>,
    pub(super) named: Vec<(Rc<str>, ExprId)>,
    /// `*values`.
    pub(super) unpacked: Option<ExprId>,
    /// `**values`.
    pub(super) unpacked_named: Option<ExprId>,
}
