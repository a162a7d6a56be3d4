//! Expressions in one variable: what a chain of elementwise operators over one tensor computes.

use super::function::Function;

/// An operation on two numbers; truth is 1, falsehood 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Binary {
    /// `a + b`
    Add,
    /// `a − b`
    Sub,
    /// `a·b`
    Mul,
    /// `a/b`
    Div,
    /// The smaller.
    Min,
    /// The larger.
    Max,
    /// `a^b`
    Pow,
    /// `a < b`
    Less,
    /// `a ≤ b`
    LessEqual,
    /// `a = b`
    Equal,
    /// `a ≠ b`
    NotEqual,
    /// Both true.
    And,
    /// One true.
    Or,
}

/// An expression in `x`.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// The variable.
    X,
    /// A constant.
    Const(f32),
    /// A function of an expression.
    Apply(Function, Box<Expr>),
    /// An operation on two expressions.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// The second expression where the first is true, the third elsewhere.
    Select(Box<Expr>, Box<Expr>, Box<Expr>),
}

impl Expr {
    /// The value at `x`.
    pub fn eval(&self, x: f64) -> f64 {
        match self {
            Expr::X => x,
            Expr::Const(c) => f64::from(*c),
            Expr::Apply(f, a) => f.eval(a.eval(x)),
            Expr::Binary(op, a, b) => {
                let (a, b) = (a.eval(x), b.eval(x));
                let truth = |t: bool| f64::from(u8::from(t));
                match op {
                    Binary::Add => a + b,
                    Binary::Sub => a - b,
                    Binary::Mul => a * b,
                    Binary::Div => a / b,
                    Binary::Min => a.min(b),
                    Binary::Max => a.max(b),
                    Binary::Pow => a.powf(b),
                    Binary::Less => truth(a < b),
                    Binary::LessEqual => truth(a <= b),
                    Binary::Equal => truth(a == b),
                    Binary::NotEqual => truth(a != b),
                    Binary::And => truth(a != 0.0 && b != 0.0),
                    Binary::Or => truth(a != 0.0 || b != 0.0),
                }
            }
            Expr::Select(test, a, b) => {
                if test.eval(x) != 0.0 {
                    a.eval(x)
                } else {
                    b.eval(x)
                }
            }
        }
    }

    /// The same expression of another inner expression: `self(inner(x))`.
    pub fn of(&self, inner: &Expr) -> Expr {
        let of = |e: &Expr| Box::new(e.of(inner));
        match self {
            Expr::X => inner.clone(),
            Expr::Const(c) => Expr::Const(*c),
            Expr::Apply(f, a) => Expr::Apply(f.clone(), of(a)),
            Expr::Binary(op, a, b) => Expr::Binary(*op, of(a), of(b)),
            Expr::Select(test, a, b) => Expr::Select(of(test), of(a), of(b)),
        }
    }

    /// `self + c`
    #[must_use]
    pub fn plus(self, c: f32) -> Expr {
        Expr::Binary(Binary::Add, Box::new(self), Box::new(Expr::Const(c)))
    }

    /// `self·c`
    #[must_use]
    pub fn times(self, c: f32) -> Expr {
        Expr::Binary(Binary::Mul, Box::new(self), Box::new(Expr::Const(c)))
    }

    /// `min(max(self, low), high)`
    #[must_use]
    pub fn clamp(self, low: f32, high: f32) -> Expr {
        let low = Expr::Binary(Binary::Max, Box::new(self), Box::new(Expr::Const(low)));
        Expr::Binary(Binary::Min, Box::new(low), Box::new(Expr::Const(high)))
    }
}
