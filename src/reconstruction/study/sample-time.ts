/** When all simulated samples are taken (UTC): a fixed moment, so that the same seed is the same sample for ever. */
export const startMs = Date.UTC(2026, 0, 1)
