// Shows the values under the pointer.
for (const svg of document.querySelectorAll('svg')) {
  const lines = [...svg.querySelectorAll('.line')].map(line => ({
    name: line.dataset.name,
    values: line.dataset.values.trim().split(' ').filter(Boolean).map(pair => pair.split(',').map(Number)),
    places: line.getAttribute('points').trim().split(' ').filter(Boolean).map(pair => Number(pair.split(',')[0])),
  })).filter(line => line.values.length);
  const cursor = svg.querySelector('.cursor'), out = svg.parentElement.querySelector('output');
  const label = at => svg.dataset.x === 'percentile' ? (100 - 100 * 10 ** -at).toPrecision(6).replace(/\.?0+$/, '') + ' %' : at + ' s';
  svg.addEventListener('pointermove', event => {
    if (!lines.length) return;
    const box = svg.getBoundingClientRect(), x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    const nearest = line => line.places.reduce((best, place, at) => Math.abs(place - x) < Math.abs(line.places[best] - x) ? at : best, 0);
    const first = nearest(lines[0]);
    cursor.setAttribute('x1', lines[0].places[first]);
    cursor.setAttribute('x2', lines[0].places[first]);
    cursor.setAttribute('visibility', 'visible');
    out.textContent = label(lines[0].values[first][0]) + ': ' + lines.map(line => line.name + ' ' + line.values[nearest(line)][1].toLocaleString('en', { maximumFractionDigits: 3 })).join(' · ') + ' ' + svg.dataset.unit;
  });
  svg.addEventListener('pointerleave', () => { cursor.setAttribute('visibility', 'hidden'); out.textContent = ''; });
}
