// What the page itself says, in English and Chinese; the words of exhibits come with their data, in both.
"use strict";
const WORDS = {
  en: {
    skip: "To the pictures",
    otherLanguage: "中文",
    welcome: "The laboratory",
    welcomeMore: "What a lecture on neural networks for text draws on a board, to be turned by hand: every number is computed on this machine, by textnn and PyTorch.",
    question: "Try to answer:",
    presets: "Try:",
    defaults: "These are the results of the default settings. Run textnn lab to move the controls.",
    training: "Train it live",
    start: "Start",
    pause: "Pause",
    step: "One step",
    reset: "Reset",
    code: "Show me the code",
    working: "Computing …",
    long: "Computing … A page that looks into a model trains a small one at its first use.",
    done: "The training has ended.",
    rounds: "Round {count}",
    gone: "The laboratory cannot be reached. Is it still running?",
    strange: "The laboratory gave an answer that this page does not understand.",
    blank: "Type a sentence.",
    unread: "Nothing in this sentence can be read; try another one.",
    next: "Next:",
    numbers: "Move over the picture, or use the arrow keys, for numbers.",
  },
  zh: {
    skip: "跳到图形",
    otherLanguage: "English",
    welcome: "实验室",
    welcomeMore: "文本神经网络课上画在黑板上的内容，都可以在这里亲手调节：每个数字都由 textnn 和 PyTorch 在本机算出。",
    question: "试着回答：",
    presets: "试试：",
    defaults: "这里是默认设置的结果。运行 textnn lab 即可调节控件。",
    training: "实时训练",
    start: "开始",
    pause: "暂停",
    step: "单步",
    reset: "重置",
    code: "查看代码",
    working: "计算中……",
    long: "计算中……需要模型的页面第一次使用时会先训练一个小模型。",
    done: "训练已结束。",
    rounds: "第 {count} 轮",
    gone: "无法连接实验室，它还在运行吗？",
    strange: "实验室返回了本页无法理解的内容。",
    blank: "请输入一句话。",
    unread: "这句话里没有能读的内容，请换一句。",
    next: "下一个：",
    numbers: "将指针移到图上或使用方向键查看数值。",
  },
};

let language = navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en";
try {
  language = WORDS[localStorage.getItem("language")] ? localStorage.getItem("language") : language;
} catch {} // a browser may forbid a page to keep anything

function setLanguage(chosen) {
  language = chosen;
  try {
    localStorage.setItem("language", chosen);
  } catch {}
}

const say = (name, values = {}) => WORDS[language][name].replace(/\{(\w+)\}/g, (_, key) => values[key]);

// A word of an exhibit: a string, or an object with one for each language.
const word = (value) => (typeof value === "string" ? value : value[language]);
