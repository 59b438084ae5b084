// The state comes as server-sent events and is shown; buttons send requests, which nodes answer.
'use strict';

const $ = (id) => document.getElementById(id);
const buttons = [...document.querySelectorAll('[data-do]')];
const RETRY = 2000; // ms
const TRAIL = 400; // poses

let state = null;
let scene = null; // as it was last drawn by the node
let trail = []; // poses as drawn, oldest first
let busy = new Set(); // actions that are not answered yet

// ---- the state

function connect() {
  const events = new EventSource('events');
  events.onmessage = (event) => {
    state = JSON.parse(event.data);
    connected('connected');
    show();
  };
  events.onerror = () => {
    events.close();
    state = null;
    connected('no connection to the panel; is aceg_panel running? Trying again ...', true);
    show();
    setTimeout(connect, RETRY);
  };
}

function connected(words, lost = false) {
  if ($('connection').textContent !== words) $('connection').textContent = words;
  $('connection').classList.toggle('lost', lost);
}

// What is said again is not read out again.
function say(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

const spaced = (name) => name.replaceAll('_', ' ');
const fixed = (numbers, digits) => numbers.map((number) => number.toFixed(digits)).join(', ');

function show() {
  enable();
  if (!state) return;
  showImage(state.camera);
  showMapper(state.mapper);
  showLocalizer(state.localizer);
  showScene(state.scene);
}

// ---- buttons

const recording = () => state.mapper.state.includes('recording');
const fitting = () => state.mapper.state.includes('fitting');
const POSSIBLE = {
  record: () => !recording() && !fitting(),
  stop_and_map: () => recording() && !fitting(),
  record_more: () => !recording(),
  stop: recording,
  add_keyframe: () => true,
  fit: () => !fitting() && state.mapper.keyframes > 0,
  cancel: fitting,
  save: () => !fitting(),
  reset: () => !fitting(),
  load_map: () => true,
  relocalize: () => state.localizer.maps.length > 0,
  pause: () => true,
  resume: () => true,
};

const owner = (button) => button.closest('section').id;

// Buttons that cannot be used keep the focus, for those who have no mouse.
function enable() {
  for (const button of buttons) {
    const action = button.dataset.do;
    const possible = state && state[owner(button)].there && POSSIBLE[action]();
    button.setAttribute('aria-disabled', String(!possible || busy.has(action)));
    button.setAttribute('aria-busy', String(busy.has(action)));
  }
}

async function act(button, texts) {
  const action = button.dataset.do;
  if (button.getAttribute('aria-disabled') === 'true') return;
  busy.add(action);
  enable();
  const answer = document.querySelector(`.answer[data-of=${owner(button)}]`);
  say(answer, `${button.textContent} ...`);
  answer.classList.remove('refused');
  let ok = false;
  let message = 'no answer from the panel; is aceg_panel running?';
  try {
    const response = await fetch(`do/${action}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(texts),
    });
    ({ ok, message } = await response.json());
  } catch { /* said already */ }
  busy.delete(action);
  enable();
  answer.classList.toggle('refused', !ok);
  say(answer, `${button.textContent}: ${message}`);
}

for (const button of buttons) {
  if (button.type === 'button') button.addEventListener('click', () => act(button, {}));
}
$('load').addEventListener('submit', (event) => {
  event.preventDefault();
  act(event.target.querySelector('[data-do]'), { map_url: $('map-url').value });
});

// ---- camera

let loading = false;
let shown = -1;

function showImage(camera) {
  say($('camera-words'), camera.words);
  if (loading || camera.number === shown || !camera.number) return;
  loading = true;
  shown = camera.number;
  $('image').src = `image.jpg?${camera.number}`;
}
$('image').addEventListener('load', () => { loading = false; $('image').hidden = false; });
$('image').addEventListener('error', () => { loading = false; $('image').hidden = true; });

// ---- mapper

function showMapper(mapper) {
  const there = mapper.there;
  say($('mapper-state'), there ? spaced(mapper.state) : 'not running');
  $('mapper-state').classList.toggle('bad', !there);
  say($('mapper-words'), mapper.words);
  const fit = there ? mapper.fit : null;
  const running = fit !== null && fit.state === 'running';
  $('progress').hidden = !running;
  $('result').hidden = fit === null || running;
  if (running) {
    say($('bar-words'), `Fit, at present: ${fit.stage}`);
    $('bar').value = fit.fraction;
  } else if (fit !== null) {
    const done = fit.state === 'done';
    $('quality').className = `badge ${done ? fit.quality : fit.state}`;
    say($('quality'), done ? `Quality: ${fit.quality}.` : `Fit ${fit.state}.`);
    say($('result-words'), done ? describe(fit) : '');
    say($('advice'), done ? (fit.quality === 'good' ? '' : `Advice: ${fit.advice}`) : fit.detail);
    say($('notes'), done ? fit.notes || '' : '');
  }
}

function describe(fit) {
  const left = fit.left_out ? `, ${fit.left_out} left out` : '';
  const size = (fit.map_bytes / 1e6).toFixed(2);
  const where = fit.map ? `saved as ${fit.map}` : 'not saved yet';
  return `Map of ${fit.keyframes} keyframes${left}, ${size} MB, in ${fit.seconds.toFixed(0)} s; ${where}`;
}

// ---- localizer

let suggested = '';

function mapWords(maps) {
  if (maps.length > 1) return `${maps.length} maps: ${maps.map(({ file }) => file.split('/').pop()).join(', ')}`;
  return maps.map(({ file, quality, keyframes }) => `Map: ${file}, quality ${quality}, ${keyframes} keyframes`).join('');
}

function showLocalizer(localizer) {
  const { there, maps, values, pose } = localizer;
  say($('localizer-state'), there ? spaced(localizer.state) : 'not running');
  $('localizer-state').classList.toggle('good', localizer.state === 'localized');
  $('localizer-state').classList.toggle('bad', !there || localizer.state === 'lost');
  say($('localizer-words'), localizer.words);
  say($('map-words'), mapWords(maps || []));
  $('pose').hidden = !pose;
  if (pose) {
    const confidence = values ? values.confidence : 0;
    $('confidence').value = confidence;
    say($('confidence-words'), values ? `${Math.round(100 * confidence)} %, ${values.inliers} inliers` : '');
    say($('position'), `${fixed(pose.position, 2)} m, to ${(100 * pose.sigma).toFixed(1)} cm and ${pose.sigma_deg.toFixed(1)}° (1 sigma)`);
  }
  // Offered until somebody writes something else.
  const offer = state.mapper.map || '';
  if (offer && $('map-url').value === suggested) $('map-url').value = suggested = offer;
}

// ---- from above

let here = null; // right, ahead and direction of view of the present pose
let asking = false;

async function showScene({ number }) {
  if (scene && scene.number === number) {
    showPose(state.localizer.pose ? state.localizer.pose.drawn : null);
    return;
  }
  if (asking) return;
  asking = true;
  try {
    scene = await (await fetch('scene.json')).json();
    [trail, here] = [[], null]; // of another ground
    draw();
  } catch { /* asked for again with the next state */ }
  asking = false;
}

function showPose(drawn) {
  if (String(drawn) === String(here)) return;
  here = drawn;
  if (here) trail = [...trail, here].slice(-TRAIL);
  draw();
}

function draw() {
  const canvas = $('view');
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  const margin = 24;
  if (Math.min(width, height) <= 2 * margin) return;
  if (canvas.width !== Math.round(width * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const context = canvas.getContext('2d');
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  if (!scene || !scene.bounds) {
    say($('scene-words'), 'Nothing is recorded yet.');
    return;
  }
  const color = (name) => getComputedStyle(canvas).getPropertyValue(`--${name}`);
  const [left, low, right, high] = scene.bounds;
  const scale = Math.min(
    (width - 2 * margin) / Math.max(right - left, 1e-6),
    (height - 2 * margin) / Math.max(high - low, 1e-6),
    400,
  );
  const x = (value) => width / 2 + scale * (value - (left + right) / 2);
  const y = (value) => height / 2 - scale * (value - (low + high) / 2);

  for (let i = 0; 2 * i < scene.points.length; i++) {
    context.fillStyle = `#${scene.colors.slice(6 * i, 6 * i + 6)}`;
    context.fillRect(x(scene.points[2 * i]) - 1, y(scene.points[2 * i + 1]) - 1, 2, 2);
  }

  // What a keyframe looks at, as a wedge; where many overlap, much was seen.
  const length = Math.max(14, Math.min(width, height) / 12);
  for (let i = 0; i < scene.keyframes.length; i += 4) {
    const [kx, ky, dx, dy] = scene.keyframes.slice(i, i + 4);
    const newest = scene.of === 'recording' && i + 4 === scene.keyframes.length;
    wedge(context, x(kx), y(ky), dx, -dy, length, color(newest ? 'here' : 'camera'));
  }

  context.strokeStyle = context.fillStyle = color('here');
  context.lineWidth = 2;
  context.beginPath();
  for (const [tx, ty] of trail) context.lineTo(x(tx), y(ty));
  context.stroke();
  if (here) arrow(context, x(here[0]), y(here[1]), here[2], -here[3]);
  ruler(context, height, scale, color('text'));

  const of = scene.of === 'map' ? 'Map' : 'Recording';
  const size = `${(right - left).toFixed(1)} by ${(high - low).toFixed(1)} m`;
  say($('scene-words'), `${of}: ${scene.keyframes.length / 4} keyframes, ${size}`);
}

function wedge(context, x, y, dx, dy, length, color) {
  const side = 0.5;
  context.fillStyle = context.strokeStyle = color;
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + length * (dx - side * dy), y + length * (dy + side * dx));
  context.lineTo(x + length * (dx + side * dy), y + length * (dy - side * dx));
  context.closePath();
  context.globalAlpha = 0.12;
  context.fill();
  context.globalAlpha = 1;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x + 0.5 * length * dx, y + 0.5 * length * dy);
  context.stroke();
  context.fillRect(x - 2, y - 2, 4, 4);
}

function arrow(context, x, y, dx, dy) {
  context.beginPath();
  context.moveTo(x + 16 * dx, y + 16 * dy);
  context.lineTo(x - 9 * dx - 8 * dy, y - 9 * dy + 8 * dx);
  context.lineTo(x - 4 * dx, y - 4 * dy);
  context.lineTo(x - 9 * dx + 8 * dy, y - 9 * dy - 8 * dx);
  context.closePath();
  context.fill();
}

function ruler(context, height, scale, color) {
  const most = 120 / scale;
  const power = 10 ** Math.floor(Math.log10(most));
  const meters = [5, 2].map((factor) => factor * power).find((value) => value <= most) ?? power;
  context.fillStyle = context.strokeStyle = color;
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(12, height - 12);
  context.lineTo(12 + meters * scale, height - 12);
  context.stroke();
  context.font = '13px system-ui, sans-serif';
  context.fillText(`${meters >= 0.01 ? Number(meters.toPrecision(1)) : meters.toExponential(0)} m`, 12, height - 18);
}

window.addEventListener('resize', draw);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
connect();
