// What the parts of the page share: elements, numbers, and asking the server. Data reaches the page as text only
// (textContent), never as HTML.
import { language, say } from "./words.js";

export const find = (id) => document.getElementById(id);

export class Failure extends Error {}

export const percent = (value, digits = 1) =>
  new Intl.NumberFormat(language, { style: "percent", minimumFractionDigits: digits, maximumFractionDigits: digits }).format(value);
export const signed = (value) => new Intl.NumberFormat(language, { signDisplay: "exceptZero", maximumFractionDigits: 2 }).format(value);
export const length = (text) => Array.from(text).length; // code points, as the server counts

export function make(tag, text = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

export async function ask(path, body, signal) {
  let answer;
  try {
    answer = await fetch(path, {
      method: body ? "POST" : "GET",
      headers: body ? { "Content-Type": "application/json" } : {},
      body: body && JSON.stringify(body),
      signal,
    });
  } catch (error) {
    if (error.name === "TimeoutError") throw new Failure(say("slow"));
    if (error.name === "AbortError") throw error;
    throw new Failure(say("gone"));
  }
  let content;
  try {
    content = await answer.json();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Failure(say("strange"));
  }
  if (answer.ok) return content;
  const code = content.error?.code;
  if (code === "rate_limited") throw new Failure(say("rate", { seconds: answer.headers.get("Retry-After") ?? "60" }));
  if (code === "overloaded" || code === "client_busy") throw new Failure(say("busy"));
  if (code === "timeout") throw new Failure(say("slow"));
  throw new Failure(say("failed", { reason: content.error?.message ?? answer.status }));
}
