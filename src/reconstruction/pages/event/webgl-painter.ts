/**
 * Draws the true 16-bit counts: an R16UI texture read with texelFetch, window and colour map applied in the shader, so
 * that changing them uploads nothing. Integer textures cannot be filtered by the hardware; the shader does it.
 */
import { colourTable } from './colour-maps.ts'
import { levelCount } from './frame-levels.ts'
import type { Frame } from './frame-levels.ts'
import { levelFor } from './painter.ts'
import type { Painter } from './painter.ts'

const vertexSource = `#version 300 es
// One triangle that covers the view.
void main() {
  vec2 corner = vec2(gl_VertexID == 1 ? 3.0 : -1.0, gl_VertexID == 2 ? 3.0 : -1.0);
  gl_Position = vec4(corner, 0.0, 1.0);
}`

const fragmentSource = `#version 300 es
precision highp float;
precision highp int;
precision highp usampler2D;
uniform usampler2D image;
uniform sampler2D colours;
uniform vec2 viewSize;       // device pixels
uniform vec2 centre;         // image pixels
uniform float perPixel;      // image pixels per device pixel
uniform vec2 imageSize;
uniform int level;
uniform vec2 toValue;        // value = stored * x + y
uniform vec2 window;         // low, high
uniform bool useMax;
uniform vec3 background;
out vec4 colour;

float at(vec2 point, ivec2 size) {
  ivec2 texel = clamp(ivec2(floor(point)), ivec2(0), size - 1);
  return float(texelFetch(image, texel, level).r);
}

void main() {
  vec2 fromTop = vec2(gl_FragCoord.x, viewSize.y - gl_FragCoord.y);
  vec2 point = centre + (fromTop - 0.5 * viewSize) * perPixel;
  if (point.x < 0.0 || point.y < 0.0 || point.x >= imageSize.x || point.y >= imageSize.y) {
    colour = vec4(background, 1.0);
    return;
  }
  float shrink = exp2(float(level));
  ivec2 size = textureSize(image, level);
  vec2 texel = point / shrink;
  float reach = 0.25 * perPixel / shrink;
  float stored;
  if (reach < 0.13) {
    stored = at(texel, size);
  } else {
    float a = at(texel + vec2(-reach, -reach), size);
    float b = at(texel + vec2(reach, -reach), size);
    float c = at(texel + vec2(-reach, reach), size);
    float d = at(texel + vec2(reach, reach), size);
    stored = useMax ? max(max(a, b), max(c, d)) : 0.25 * (a + b + c + d);
  }
  float value = stored * toValue.x + toValue.y;
  float bright = clamp((value - window.x) / (window.y - window.x), 0.0, 1.0);
  colour = vec4(texelFetch(colours, ivec2(int(bright * 255.0 + 0.5), 0), 0).rgb, 1.0);
}`

/**
 * undefined when this browser has no WebGL2. WebGL that is computed by the processor counts as none unless it is asked
 * for: measured on two cores, it pans at 22 pictures a second where the plain canvas reaches 60.
 */
export function createWebglPainter(
  canvas: HTMLCanvasElement,
  alsoSoftware: boolean,
  onLost: () => void,
): Painter | undefined {
  const gl = canvas.getContext('webgl2', {
    failIfMajorPerformanceCaveat: !alsoSoftware,
    alpha: false,
    antialias: false,
    depth: false,
    powerPreference: 'high-performance',
  })
  if (gl === null) return undefined
  if (!alsoSoftware && isSoftware(gl)) {
    gl.getExtension('WEBGL_lose_context')?.loseContext()
    return undefined
  }
  const program = linkProgram(gl)
  if (program === undefined) return undefined
  let image = gl.createTexture()
  const colours = gl.createTexture()
  const empty = gl.createVertexArray()
  const place = (name: string): WebGLUniformLocation | null => gl.getUniformLocation(program, name)
  const places = {
    image: place('image'),
    colours: place('colours'),
    viewSize: place('viewSize'),
    centre: place('centre'),
    perPixel: place('perPixel'),
    imageSize: place('imageSize'),
    level: place('level'),
    toValue: place('toValue'),
    window: place('window'),
    useMax: place('useMax'),
    background: place('background'),
  }
  let frame: Frame | undefined
  let uploaded = { width: 0, height: 0, reduction: '' }
  let colouredAs = ''
  const lost = (event: Event): void => {
    event.preventDefault()
    onLost()
  }
  canvas.addEventListener('webglcontextlost', lost)

  const upload = (shown: Frame, reduction: 'mean' | 'max', all: boolean): void => {
    gl.bindTexture(gl.TEXTURE_2D, image)
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 2)
    const put = (level: number, width: number, height: number, pixels: Uint16Array): void =>
      gl.texSubImage2D(gl.TEXTURE_2D, level, 0, 0, width, height, gl.RED_INTEGER, gl.UNSIGNED_SHORT, pixels)
    if (all) put(0, shown.width, shown.height, shown.pixels)
    shown.levels.forEach((level, index) =>
      put(index + 1, level.width, level.height, reduction === 'max' ? level.max : level.mean),
    )
  }

  return {
    name: 'webgl2',
    show: (next) => {
      frame = next
      uploaded = { ...uploaded, reduction: '' }
    },
    draw: (picture) => {
      const width = Math.round(picture.view.width * picture.density)
      const height = Math.round(picture.view.height * picture.density)
      if (canvas.width !== width || canvas.height !== height) {
        canvas.width = width
        canvas.height = height
      }
      gl.viewport(0, 0, width, height)
      if (frame === undefined) {
        gl.clearColor(0.08, 0.09, 0.1, 1)
        gl.clear(gl.COLOR_BUFFER_BIT)
        return
      }
      if (uploaded.width !== frame.width || uploaded.height !== frame.height) {
        // Storage of a texture cannot change its size; an image of another camera gets a new one.
        gl.deleteTexture(image)
        image = gl.createTexture()
        gl.bindTexture(gl.TEXTURE_2D, image)
        gl.texStorage2D(gl.TEXTURE_2D, levelCount + 1, gl.R16UI, frame.width, frame.height)
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST_MIPMAP_NEAREST)
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST)
        uploaded = { width: frame.width, height: frame.height, reduction: '' }
      }
      if (uploaded.reduction !== picture.reduction) {
        upload(frame, picture.reduction, uploaded.reduction === '')
        uploaded.reduction = picture.reduction
      }
      const colouring = `${picture.map} ${picture.inverted}`
      gl.activeTexture(gl.TEXTURE1)
      gl.bindTexture(gl.TEXTURE_2D, colours)
      if (colouredAs !== colouring) {
        gl.texImage2D(
          gl.TEXTURE_2D,
          0,
          gl.RGBA8,
          256,
          1,
          0,
          gl.RGBA,
          gl.UNSIGNED_BYTE,
          colourTable(picture.map, picture.inverted),
        )
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.NEAREST)
        gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MAG_FILTER, gl.NEAREST)
        colouredAs = colouring
      }
      gl.activeTexture(gl.TEXTURE0)
      gl.bindTexture(gl.TEXTURE_2D, image)
      gl.useProgram(program)
      gl.bindVertexArray(empty)
      const perPixel = 1 / (picture.placement.zoom * picture.density)
      const level = levelFor(perPixel, levelCount)
      const copy = frame.levels[level - 1]
      const useMax = picture.reduction === 'max'
      const scale = copy === undefined || useMax ? 1 : 1 / copy.meanScale
      const from = copy === undefined || useMax ? -frame.offset : copy.meanFrom
      gl.uniform1i(places.image, 0)
      gl.uniform1i(places.colours, 1)
      gl.uniform2f(places.viewSize, width, height)
      gl.uniform2f(places.centre, picture.placement.x, picture.placement.y)
      gl.uniform1f(places.perPixel, perPixel)
      gl.uniform2f(places.imageSize, frame.width, frame.height)
      gl.uniform1i(places.level, level)
      gl.uniform2f(places.toValue, scale, from)
      gl.uniform2f(places.window, picture.window.low, picture.window.high)
      gl.uniform1i(places.useMax, useMax ? 1 : 0)
      gl.uniform3f(places.background, 0.08, 0.09, 0.1)
      gl.drawArrays(gl.TRIANGLES, 0, 3)
    },
    close: () => {
      canvas.removeEventListener('webglcontextlost', lost)
      // A page may hold few contexts; give this one back at once instead of at the next garbage collection.
      gl.getExtension('WEBGL_lose_context')?.loseContext()
    },
  }
}

/** Browsers do not always own up to drawing with the processor; the name of the renderer does. */
function isSoftware(gl: WebGL2RenderingContext): boolean {
  const names = gl.getExtension('WEBGL_debug_renderer_info')
  const renderer = String(gl.getParameter(names === null ? gl.RENDERER : names.UNMASKED_RENDERER_WEBGL))
  return /swiftshader|llvmpipe|softpipe|software|basic render/i.test(renderer)
}

function linkProgram(gl: WebGL2RenderingContext): WebGLProgram | undefined {
  const program = gl.createProgram()
  const parts: Array<[number, string]> = [
    [gl.VERTEX_SHADER, vertexSource],
    [gl.FRAGMENT_SHADER, fragmentSource],
  ]
  for (const [kind, source] of parts) {
    const shader = gl.createShader(kind)
    if (shader === null) return undefined
    gl.shaderSource(shader, source)
    gl.compileShader(shader)
    gl.attachShader(program, shader)
  }
  gl.linkProgram(program)
  return gl.getProgramParameter(program, gl.LINK_STATUS) === true ? program : undefined
}
