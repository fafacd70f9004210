/** Expressions over arrays: one pass per node over a batch of rows, no function is made from text. */
import type { CompareOperator, FunctionName, Node } from './expression.ts'

/** Some rows of a table; flags are 1 or 0, what is absent is NaN. */
export interface Batch {
  rows: number
  columns: ReadonlyMap<string, Float64Array>
}
/** Values of a batch; conditions give 1 or 0. The answer may be one of the batch's own arrays: do not write to it. */
export type Evaluate = (batch: Batch) => Float64Array

const arithmetic: Record<'+' | '-' | '*' | '/' | '%' | '^', (a: number, b: number) => number> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
  '/': (a, b) => a / b,
  // The sign of the divisor, as in Python.
  '%': (a, b) => a - b * Math.floor(a / b),
  '^': (a, b) => a ** b,
}
const compare: Record<CompareOperator, (a: number, b: number) => boolean> = {
  '<': (a, b) => a < b,
  '<=': (a, b) => a <= b,
  '>': (a, b) => a > b,
  '>=': (a, b) => a >= b,
  '==': (a, b) => a === b,
  '!=': (a, b) => a !== b,
}
const apply: Record<FunctionName, (...of: number[]) => number> = {
  abs: Math.abs,
  sqrt: Math.sqrt,
  exp: Math.exp,
  log: Math.log,
  log10: Math.log10,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
  atan2: Math.atan2,
  hypot: Math.hypot,
  min: Math.min,
  max: Math.max,
  floor: Math.floor,
  // Halves to the even side, as in Python.
  round: (value) => {
    const near = Math.round(value)
    return Math.abs(value % 1) === 0.5 && near % 2 !== 0 ? near - 1 : near
  },
}

/** Every comparison with NaN is false except `!=`. */
export function compileExpression(node: Node): Evaluate {
  switch (node.kind) {
    case 'number':
    case 'truth': {
      const value = Number(node.value)
      return ({ rows }) => new Float64Array(rows).fill(value)
    }
    case 'quantity':
      return ({ columns }) => columns.get(node.name)!
    case 'negate': {
      const of = compileExpression(node.of[0])
      return (batch) => of(batch).map((value) => -value)
    }
    case 'not': {
      const of = compileExpression(node.of[0])
      return (batch) => of(batch).map((value) => (value === 0 ? 1 : 0))
    }
    case 'arithmetic': {
      const [left, right] = node.of.map(compileExpression) as [Evaluate, Evaluate]
      const operate = arithmetic[node.operator]
      return (batch) => {
        const b = right(batch)
        return left(batch).map((a, row) => operate(a, b[row]!))
      }
    }
    case 'call': {
      const parts = node.of.map(compileExpression)
      const call = apply[node.name]
      return (batch) => {
        const values = parts.map((part) => part(batch))
        const out = new Float64Array(batch.rows)
        const given = new Array<number>(parts.length)
        for (let row = 0; row < batch.rows; row++) {
          for (let index = 0; index < parts.length; index++) given[index] = values[index]![row]!
          out[row] = call(...given)
        }
        return out
      }
    }
    case 'compare': {
      const parts = node.of.map(compileExpression)
      const operators = node.operators.map((operator) => compare[operator])
      return (batch) => {
        const values = parts.map((part) => part(batch))
        const out = new Float64Array(batch.rows)
        for (let row = 0; row < batch.rows; row++) {
          let holds = true
          for (let index = 0; index < operators.length && holds; index++)
            holds = operators[index]!(values[index]![row]!, values[index + 1]![row]!)
          out[row] = holds ? 1 : 0
        }
        return out
      }
    }
    case 'and':
    case 'or': {
      const parts = node.of.map(compileExpression)
      const isAnd = node.kind === 'and'
      return (batch) => {
        const out = new Float64Array(batch.rows).fill(isAnd ? 1 : 0)
        for (const part of parts) {
          const values = part(batch)
          for (let row = 0; row < batch.rows; row++)
            if (isAnd ? values[row] === 0 : values[row] !== 0) out[row] = isAnd ? 0 : 1
        }
        return out
      }
    }
  }
}
