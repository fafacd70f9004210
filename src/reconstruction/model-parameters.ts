/** Which trained model looks at the clusters. */
import type { ParameterDescription } from './parameters.ts'

export interface ModelParameters {
  recoilModel: string
}

export const defaultModelParameters: Readonly<ModelParameters> = Object.freeze({ recoilModel: 'default' })

/** Words with a meaning of their own; everything else is the key of an object. */
export const noModel = 'none'
export const shippedModel = 'default'

export const modelParameterCatalogue: Readonly<Record<keyof ModelParameters, ParameterDescription>> = {
  recoilModel: {
    unit: '',
    reference: null,
    meaning:
      "model of recoils, energy and depth: 'default' (shipped, trained on simulation), 'none', or the key of one in the experiment's reco bucket (studies/<id>/recoil-model.json, or a .onnx of your own)",
    text: {
      pattern: /^(default|none|(?!.*(^|\/)\.\.?(\/|$))[A-Za-z0-9][A-Za-z0-9._/-]{0,200}\.(json|onnx))$/,
      words: "'default', 'none', or a key that ends in .json or .onnx",
    },
  },
}
