/** The part of notebooks' door that gateways use: the proxy and the routes it decides from. */
export { createNotebookProxy } from './proxy/notebook-proxy.ts'
export { notebookRoute } from './proxy/route.ts'
