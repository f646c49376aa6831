import { mount } from 'svelte';
import App from './App.svelte';
import './app.css';
import { words } from './state/i18n.svelte';
import { session } from './state/me.svelte';
import { place } from './state/place.svelte';

place.start();
void session.start();
// The words first: a panel that changes its language under the eye is worse than one that is 20 ms later.
await words.start();
mount(App, { target: document.getElementById('app')! });
