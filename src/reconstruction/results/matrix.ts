/** Small dense linear algebra for fits: up to a dozen parameters. */

/** The inverse of a symmetric positive definite matrix by Cholesky, undefined where it is not (or nearly not) one. */
export function invertSymmetric(matrix: readonly (readonly number[])[]): number[][] | undefined {
  const size = matrix.length
  // Scaled to a unit diagonal first: parameters differ by many orders of magnitude.
  const scale = matrix.map((row, index) => 1 / Math.sqrt(row[index]!))
  if (scale.some((value) => !Number.isFinite(value))) return undefined
  const lower = Array.from({ length: size }, () => new Array<number>(size).fill(0))
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let sum = matrix[row]![column]! * scale[row]! * scale[column]!
      for (let index = 0; index < column; index++) sum -= lower[row]![index]! * lower[column]![index]!
      if (row === column) {
        if (!(sum > 1e-13)) return undefined
        lower[row]![row] = Math.sqrt(sum)
      } else lower[row]![column] = sum / lower[column]![column]!
    }
  }
  const inverse = Array.from({ length: size }, () => new Array<number>(size).fill(0))
  for (let column = 0; column < size; column++) {
    const solution = new Array<number>(size).fill(0)
    for (let row = 0; row < size; row++) {
      let sum = row === column ? 1 : 0
      for (let index = 0; index < row; index++) sum -= lower[row]![index]! * solution[index]!
      solution[row] = sum / lower[row]![row]!
    }
    for (let row = size - 1; row >= 0; row--) {
      let sum = solution[row]!
      for (let index = row + 1; index < size; index++) sum -= lower[index]![row]! * solution[index]!
      solution[row] = sum / lower[row]![row]!
    }
    for (let row = 0; row < size; row++) inverse[row]![column] = solution[row]! * scale[row]! * scale[column]!
  }
  return inverse
}

export function times(matrix: readonly (readonly number[])[], vector: readonly number[]): number[] {
  return matrix.map((row) => row.reduce((sum, value, index) => sum + value * vector[index]!, 0))
}

/** Probability of a chi2 at least as large: the upper regularised incomplete gamma function Q(ndf/2, chi2/2). */
export function chi2Probability(chi2: number, ndf: number): number {
  const a = ndf / 2
  const x = chi2 / 2
  if (x <= 0) return 1
  const front = Math.exp(-x + a * Math.log(x) - logGamma(a))
  if (x < a + 1) {
    let term = 1 / a
    let sum = term
    for (let n = 1; n < 500; n++) {
      term *= x / (a + n)
      sum += term
      if (term < sum * 1e-15) break
    }
    return Math.max(0, 1 - sum * front)
  }
  // Lentz's continued fraction.
  let b = x + 1 - a
  let c = 1e300
  let d = 1 / b
  let h = d
  for (let i = 1; i < 500; i++) {
    const an = -i * (i - a)
    b += 2
    d = 1 / (an * d + b || 1e-300)
    c = b + an / c || 1e-300
    const delta = d * c
    h *= delta
    if (Math.abs(delta - 1) < 1e-15) break
  }
  return front * h
}

/** Lanczos, good to 1e-13. */
function logGamma(x: number): number {
  const coefficients = [
    676.5203681218851, -1259.1392167224028, 771.32342877765313, -176.61502916214059, 12.507343278686905,
    -0.13857109526572012, 9.9843695780195716e-6, 1.5056327351493116e-7,
  ]
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x)
  const shifted = x - 1
  const series = coefficients.reduce((sum, value, index) => sum + value / (shifted + index + 1), 0.99999999999980993)
  const t = shifted + coefficients.length - 0.5
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(t) - t + Math.log(series)
}
