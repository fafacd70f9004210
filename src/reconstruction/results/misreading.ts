/** Why an expression cannot be read. Runs in browsers and in Node. */

/** What is wrong, where (characters from `at`, `length` of them), and what may have been meant. */
export interface ExpressionProblem {
  message: string
  at: number
  length: number
  suggestions: string[]
}

export class Misreading extends Error {
  readonly problem: ExpressionProblem
  constructor(message: string, at: number, length: number, suggestions: string[] = []) {
    super(message)
    this.problem = { message, at, length: Math.max(length, 1), suggestions }
  }
}
