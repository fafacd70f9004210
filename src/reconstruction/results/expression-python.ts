/** The same expression in numpy, for notebooks: `(rows["rmsCounts"] > 6) & (…)`. Runs in browsers and in Node. */
import type { Node } from './expression.ts'

const functionNames: Record<string, string> = {
  atan2: 'np.arctan2',
  min: 'np.minimum',
  max: 'np.maximum',
}

/** `quantity` writes the array of a column; every part is in parentheses, numpy's `&` binds tighter than `<`. */
export function pythonOf(node: Node, quantity: (name: string) => string): string {
  const part = (one: Node): string => pythonOf(one, quantity)
  switch (node.kind) {
    case 'number':
      return String(node.value)
    case 'truth':
      return node.value ? 'True' : 'False'
    case 'quantity':
      return quantity(node.name)
    case 'negate':
      return `(-${part(node.of[0])})`
    case 'not':
      return `np.logical_not(${part(node.of[0])})`
    case 'arithmetic':
      return `(${part(node.of[0])} ${node.operator === '^' ? '**' : node.operator} ${part(node.of[1])})`
    case 'call': {
      const name = functionNames[node.name] ?? `np.${node.name}`
      // numpy's binary functions take two at a time.
      const pairwise = node.name === 'min' || node.name === 'max' || node.name === 'hypot'
      const values = node.of.map(part)
      return pairwise ? values.reduce((left, right) => `${name}(${left}, ${right})`) : `${name}(${values.join(', ')})`
    }
    case 'compare': {
      const values = node.of.map(part)
      const parts = node.operators.map((operator, index) => `(${values[index]} ${operator} ${values[index + 1]})`)
      return parts.length === 1 ? parts[0]! : `(${parts.join(' & ')})`
    }
    case 'and':
    case 'or':
      return node.of.map(part).reduce((left, right) => `np.logical_${node.kind}(${left}, ${right})`)
  }
}
