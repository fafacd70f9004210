/**
 * The language of cuts and quantities: `rmsCounts > 6 and 11 < density < 40`, `0.152*latGaussSigmaPx`,
 * `hypot(xMeanPx-1152, yMeanPx-1152) < 800`. Text becomes a tree that knows which columns it reads; nothing is ever
 * given to JavaScript to run. What cannot be read points at its place. Runs in browsers and in Node.
 *
 * `or` < `and` < `not` < comparisons (may be chained) < `+ -` < `* / %` < unary `-` < `^` or `**` (to the right).
 */
import { readTokens } from './expression-tokens.ts'
import { Misreading } from './misreading.ts'
import type { ExpressionProblem } from './misreading.ts'
import type { Token } from './expression-tokens.ts'

/** A column as expressions see it. */
export interface Quantity {
  /** The name that is written out: camelCase with unit. */
  name: string
  /** snake_case name in the Parquet file; null for what is not in the file but is known of it (`run`). */
  column: string | null
  unit: string
  meaning: string
  /** A flag is true or false and also counts as 1 or 0. */
  kind: 'number' | 'flag'
  storage: 'INT32' | 'FLOAT' | 'DOUBLE' | 'BOOLEAN'
  /** What stands for it in rows made before there was such a column. */
  neutral: number
  /** Other names that are understood: column, branch of the reference with and without `sc_`. */
  aliases: readonly string[]
}

export type CompareOperator = '<' | '<=' | '>' | '>=' | '==' | '!='
export type Node = { at: number; end: number } & (
  | { kind: 'number'; value: number }
  | { kind: 'truth'; value: boolean }
  | { kind: 'quantity'; name: string; isFlag: boolean }
  | { kind: 'call'; name: FunctionName; of: Node[] }
  | { kind: 'arithmetic'; operator: '+' | '-' | '*' | '/' | '%' | '^'; of: [Node, Node] }
  | { kind: 'negate'; of: [Node] }
  | { kind: 'compare'; operators: CompareOperator[]; of: Node[] }
  | { kind: 'and' | 'or'; of: Node[] }
  | { kind: 'not'; of: [Node] }
)

export type { ExpressionProblem } from './misreading.ts'
export type Parsed = { node: Node; problem?: undefined } | { node?: undefined; problem: ExpressionProblem }

/** Functions and how many values they take, least and most. Angles are radians. */
export const functions = {
  abs: [1, 1],
  sqrt: [1, 1],
  exp: [1, 1],
  log: [1, 1],
  log10: [1, 1],
  sin: [1, 1],
  cos: [1, 1],
  tan: [1, 1],
  atan2: [2, 2],
  hypot: [2, 3],
  min: [2, 8],
  max: [2, 8],
  floor: [1, 1],
  round: [1, 1],
} as const satisfies Record<string, readonly [number, number]>
export type FunctionName = keyof typeof functions

const mostDepth = 60
const mostNodes = 600
export const mostCharacters = 4000
const comparisons = new Set(['<', '<=', '>', '>=', '==', '!='])

/** Reads an expression that gives a number (`want: 'number'`) or that is true or false (`want: 'condition'`). */
export function parseExpression(text: string, quantities: readonly Quantity[], want: 'number' | 'condition'): Parsed {
  try {
    if (text.length > mostCharacters)
      throw new Misreading(`longer than ${mostCharacters} characters`, mostCharacters, text.length - mostCharacters)
    const node = createParser(text, readTokens(text), quantities).whole()
    if (want === 'condition') requireCondition(node, text)
    else requireNumber(node, text)
    return { node }
  } catch (error) {
    if (error instanceof Misreading) return { problem: error.problem }
    throw error
  }
}

/** The cuts of a text, those that are joined by `and` one by one, in their order; none for an empty text. */
export function parseCuts(
  text: string,
  quantities: readonly Quantity[],
): { cuts: { node: Node; text: string }[]; problem?: ExpressionProblem } {
  if (text.trim() === '') return { cuts: [] }
  const { node, problem } = parseExpression(text, quantities, 'condition')
  if (problem !== undefined) return { cuts: [], problem }
  const parts = node.kind === 'and' && !isInParentheses(text, node) ? node.of : [node]
  return { cuts: parts.map((part) => ({ node: part, text: text.slice(part.at, part.end) })) }
}

/** Names of the quantities that a tree reads, each once. */
export function quantitiesOf(node: Node): string[] {
  const names = new Set<string>()
  const visit = (one: Node): void => {
    if (one.kind === 'quantity') names.add(one.name)
    if ('of' in one) one.of.forEach(visit)
  }
  visit(node)
  return [...names]
}

/** The quantities that a misspelt name may mean, nearest first. */
export function nearest(name: string, quantities: readonly Quantity[], most = 3): string[] {
  const wanted = name.toLowerCase()
  const scored = quantities.map((quantity) => {
    const names = [quantity.name, ...quantity.aliases].map((one) => one.toLowerCase())
    const distance = Math.min(...names.map((one) => (one.startsWith(wanted) ? 0.5 : editDistance(wanted, one))))
    return { name: quantity.name, distance }
  })
  return scored
    .filter(({ distance }) => distance <= Math.max(2, wanted.length / 3))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, most)
    .map(({ name: found }) => found)
}

function createParser(text: string, tokens: readonly Token[], quantities: readonly Quantity[]) {
  const byName = new Map<string, Quantity>()
  for (const quantity of quantities)
    for (const alias of quantity.aliases) byName.set(alias.toLowerCase(), byName.get(alias.toLowerCase()) ?? quantity)
  for (const quantity of quantities) byName.set(quantity.name.toLowerCase(), quantity)
  const state = { next: 0, depth: 0, nodes: 0 }
  const peek = (): Token => tokens[state.next]!
  const take = (): Token => tokens[state.next++]!
  const isWord = (...words: string[]): boolean => peek().kind === 'symbol' && words.includes(peek().text)

  function made<Made extends Node>(node: Made): Made {
    if (++state.nodes > mostNodes) throw new Misreading('too long an expression', node.at, node.end - node.at)
    return node
  }
  function deeper<Result>(read: () => Result): Result {
    if (++state.depth > mostDepth) throw new Misreading('nested too deeply', peek().at, 1)
    const result = read()
    state.depth--
    return result
  }
  function joined(kind: 'and' | 'or', part: () => Node): Node {
    const parts = [part()]
    while (isWord(kind)) {
      take()
      parts.push(part())
    }
    if (parts.length === 1) return parts[0]!
    for (const one of parts) requireCondition(one, text)
    return made({ kind, of: parts, at: parts[0]!.at, end: parts.at(-1)!.end })
  }
  const any = (): Node => joined('or', all)
  const all = (): Node => joined('and', negation)
  function negation(): Node {
    if (!isWord('not')) return comparison()
    const { at } = take()
    const of = deeper(negation)
    requireCondition(of, text)
    return made({ kind: 'not', of: [of], at, end: of.end })
  }
  function comparison(): Node {
    const of = [sum()]
    const operators: CompareOperator[] = []
    while (peek().kind === 'symbol' && comparisons.has(peek().text)) {
      operators.push(take().text as CompareOperator)
      of.push(sum())
    }
    if (operators.length === 0) return of[0]!
    for (const one of of) requireNumber(one, text)
    return made({ kind: 'compare', operators, of, at: of[0]!.at, end: of.at(-1)!.end })
  }
  function leftToRight(signs: string[], part: () => Node): Node {
    let left = part()
    while (isWord(...signs)) {
      const operator = take().text as '+'
      const right = part()
      requireNumber(left, text)
      requireNumber(right, text)
      left = made({ kind: 'arithmetic', operator, of: [left, right], at: left.at, end: right.end })
    }
    return left
  }
  const sum = (): Node => leftToRight(['+', '-'], product)
  const product = (): Node => leftToRight(['*', '/', '%'], signed)
  function signed(): Node {
    if (isWord('-', '+')) {
      const sign = take()
      const of = deeper(signed)
      requireNumber(of, text)
      return sign.text === '+' ? { ...of, at: sign.at } : made({ kind: 'negate', of: [of], at: sign.at, end: of.end })
    }
    return power()
  }
  function power(): Node {
    const base = atom()
    if (!isWord('^')) return base
    take()
    const exponent = deeper(signed)
    requireNumber(base, text)
    requireNumber(exponent, text)
    return made({ kind: 'arithmetic', operator: '^', of: [base, exponent], at: base.at, end: exponent.end })
  }
  function atom(): Node {
    const token = take()
    const { at, end } = token
    if (token.kind === 'number') return made({ kind: 'number', value: token.value, at, end })
    if (token.kind === 'name') return named(token)
    if (token.text === '(') {
      const inner = deeper(any)
      const { end: last } = expect(')', at)
      return { ...inner, at, end: last }
    }
    throw new Misreading(
      token.kind === 'end' ? 'something is missing at the end' : `'${token.text}' has nothing before it to work on`,
      at,
      end - at,
    )
  }
  function named({ text: name, at, end }: Token): Node {
    if (name === 'true' || name === 'false') return made({ kind: 'truth', value: name === 'true', at, end })
    if (name === 'pi') return made({ kind: 'number', value: Math.PI, at, end })
    if (isWord('(')) return called(name, at, end)
    const quantity = byName.get(name.toLowerCase())
    if (quantity !== undefined)
      return made({ kind: 'quantity', name: quantity.name, isFlag: quantity.kind === 'flag', at, end })
    const suggestions = nearest(name, quantities)
    const meant = suggestions.length === 0 ? '' : `; did you mean ${suggestions.join(' or ')}?`
    throw new Misreading(`there is no quantity '${name}'${meant}`, at, end - at, suggestions)
  }
  function called(name: string, at: number, end: number): Node {
    if (!Object.hasOwn(functions, name)) {
      const known = Object.keys(functions)
      throw new Misreading(`there is no function '${name}'; there are ${known.join(', ')}`, at, end - at)
    }
    take()
    const of: Node[] = []
    if (!isWord(')')) {
      do of.push(deeper(any))
      while (isWord(',') && take())
    }
    const { end: last } = expect(')', at)
    const [least, most] = functions[name as FunctionName]
    if (of.length < least || of.length > most) {
      const wanted = least === most ? `${least}` : `${least} to ${most}`
      throw new Misreading(`${name}() takes ${wanted} values, not ${of.length}`, at, last - at)
    }
    for (const one of of) requireNumber(one, text)
    return made({ kind: 'call', name: name as FunctionName, of, at, end: last })
  }
  function expect(sign: string, openAt: number): Token {
    if (isWord(sign)) return take()
    const { at, end, kind } = peek()
    if (kind === 'end') throw new Misreading(`the '(' is never closed`, openAt, 1)
    throw new Misreading(`'${sign}' is missing before '${text.slice(at, end)}'`, at, end - at)
  }
  return {
    whole(): Node {
      const node = any()
      const { kind, at, end } = peek()
      if (kind === 'end') return node
      const rest = text.slice(at, end)
      const hint = kind === 'symbol' ? '' : "; join cuts with 'and'"
      throw new Misreading(`'${rest}' does not belong here${hint}`, at, end - at)
    },
  }
}

const conditionKinds = new Set<Node['kind']>(['compare', 'and', 'or', 'not', 'truth'])

function requireCondition(node: Node, text: string): void {
  if (conditionKinds.has(node.kind) || (node.kind === 'quantity' && node.isFlag)) return
  const said = text.slice(node.at, node.end)
  throw new Misreading(`'${said}' is a number, not a condition; compare it with one`, node.at, node.end - node.at)
}

function requireNumber(node: Node, text: string): void {
  if (!conditionKinds.has(node.kind) || node.kind === 'truth') return
  const said = text.slice(node.at, node.end)
  throw new Misreading(`'${said}' is true or false; a number is needed here`, node.at, node.end - node.at)
}

/** True for `(a and b)`: the person put them together, so they stay one cut. */
function isInParentheses(text: string, node: Node): boolean {
  return text[node.at] === '(' && node.kind === 'and' && node.of[0]!.at !== node.at
}

function editDistance(one: string, other: string): number {
  let previous = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let row = 1; row <= one.length; row++) {
    const current = [row]
    for (let column = 1; column <= other.length; column++) {
      const change = previous[column - 1]! + (one[row - 1] === other[column - 1] ? 0 : 1)
      current.push(Math.min(change, previous[column]! + 1, current[column - 1]! + 1))
    }
    previous = current
  }
  return previous[other.length]!
}
