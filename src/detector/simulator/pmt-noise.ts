import type { Random } from './random.ts'

/**
 * Power spectral density of the noise of a LIME photomultiplier on the fast digitizer, in 1e-18 V2/Hz, in 64 equal bands from 0 to 375 MHz
 * (means of the collaboration's spectrum, LIME_fast_noise_spectrum_pmt1). Nearly white, with lines near 30, 95 and 250 MHz.
 */
export const noiseDensity: readonly number[] = [
  221, 370, 337, 312, 482, 711, 379, 238, 250, 250, 237, 229, 210, 216, 259, 328, 360, 261, 266, 278, 219, 218, 231,
  229, 264, 244, 219, 225, 266, 219, 208, 216, 198, 194, 197, 194, 179, 171, 171, 182, 203, 267, 450, 333, 208, 189,
  173, 190, 202, 193, 194, 196, 187, 198, 217, 216, 191, 189, 201, 233, 258, 291, 304, 255,
]
export const noiseBandHz = 375e6 / noiseDensity.length

/** Length of the periodic noise a run uses: a waveform gets a stretch of it that begins anywhere. */
export const noiseLength = 1 << 16

/**
 * Noise in volts by random phases: every frequency has the amplitude sqrt(density * sampling rate / N) of a two-sided spectrum and a phase that is
 * drawn. The rms is sqrt(mean density * sampling rate): 0.43 mV at 750 MS/s.
 */
export function makeNoise(samplingHz: number, random: Random): Float32Array {
  const real = new Float64Array(noiseLength)
  const imaginary = new Float64Array(noiseLength)
  for (let k = 1; k <= noiseLength / 2; k++) {
    const band = Math.min(noiseDensity.length - 1, Math.floor((k * samplingHz) / noiseLength / noiseBandHz))
    const amplitude = Math.sqrt(((noiseDensity[band] as number) * 1e-18 * samplingHz) / noiseLength)
    const phase = 2 * Math.PI * random.uniform()
    real[k] = amplitude * Math.cos(phase)
    imaginary[k] = k === noiseLength / 2 ? 0 : amplitude * Math.sin(phase)
    real[noiseLength - k] = real[k] as number
    imaginary[noiseLength - k] = -(imaginary[k] as number)
  }
  fourier(real, imaginary)
  return Float32Array.from(real)
}

/** Fourier transform in place, lengths of powers of two, without normalisation. */
export function fourier(real: Float64Array, imaginary: Float64Array): void {
  const size = real.length
  for (let i = 1, j = 0; i < size; i++) {
    let bit = size >> 1
    for (; j & bit; bit >>= 1) j ^= bit
    j ^= bit
    if (i >= j) continue
    const [a, b] = [real[i] as number, imaginary[i] as number]
    real[i] = real[j] as number
    imaginary[i] = imaginary[j] as number
    real[j] = a
    imaginary[j] = b
  }
  const cosines = Float64Array.from({ length: size / 2 }, (_, i) => Math.cos((2 * Math.PI * i) / size))
  const sines = Float64Array.from({ length: size / 2 }, (_, i) => Math.sin((2 * Math.PI * i) / size))
  for (let length = 2; length <= size; length <<= 1) {
    const [half, stride] = [length / 2, size / length]
    for (let start = 0; start < size; start += length)
      for (let k = 0; k < half; k++) {
        const [c, s] = [cosines[k * stride] as number, sines[k * stride] as number]
        const [even, odd] = [start + k, start + k + half]
        const [oddReal, oddImaginary] = [real[odd] as number, imaginary[odd] as number]
        const re = oddReal * c - oddImaginary * s
        const im = oddReal * s + oddImaginary * c
        real[odd] = (real[even] as number) - re
        imaginary[odd] = (imaginary[even] as number) - im
        real[even] = (real[even] as number) + re
        imaginary[even] = (imaginary[even] as number) + im
      }
  }
}
