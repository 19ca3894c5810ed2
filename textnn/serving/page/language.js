// What a language model writes behind the text, and how probable the text is.
import { ask, find, make } from "./common.js";
import { language, say } from "./words.js";

const TOKENS = 100;

let most = TOKENS;

export function begin(model) {
  most = Math.min(TOKENS, model.limits.max_tokens);
}

export async function run(text, { signal, isCurrent, reveal }) {
  const asked = { prompt: text, tokens: most, top_p: 0.95 };
  const [found, scored] = await Promise.all([ask("continue", asked, signal), ask("score", { text }, signal)]);
  if (!isCurrent()) return;
  find("written").replaceChildren(document.createTextNode(text), make("strong", found.text));
  const perplexity = scored.perplexity.toLocaleString(language, { maximumFractionDigits: 1 });
  const sentence = say("perplexity", { number: perplexity });
  const tokens = found.unknown.map((token) => JSON.stringify(token)).join(", ");
  find("perplexity").textContent = tokens ? say("unknown", { number: sentence, tokens }) : sentence;
  reveal();
}
