/** The exports of kernels.wasm. AssemblyScript, not TypeScript: `npm run kernels` compiles it. */
export { addRows, beginCells, configureCells, weightTotal } from './cells'
export { configurePoints, findPoints } from './points'
export { cluster, configureDbscan } from './dbscan'
export { addPixels, configurePedestal } from './pedestal'
