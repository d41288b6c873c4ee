"""The workflows of the demo: their nodes, what those say, what they are asked, and in which ways they fail. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

CURRENCY: Final = "CNY"
"""The currency of the demo's prices."""


class DemoNode(NamedTuple):
    """A node: how long it usually speaks (milliseconds), what it says, and the tokens that it reads and writes.

    ``{name}`` in its text stands for the input of that name.
    """

    title: str
    kind: str
    ms: int
    says: str
    tokens: tuple[int, int] = (0, 0)


class DemoFailure(NamedTuple):
    """A way to fail: the node, the error, the days (before now) between which it happens, and to which share of runs."""

    node: str
    code: int
    message: str
    days: tuple[float, float]
    share: float


class DemoWorkflow(NamedTuple):
    """A workflow: ``mode`` is 0 for one answer, 1 for a stream, 2 in the background; ``cny`` is a price.

    Attributes:
        cny: per million tokens read and written.
        bot: the bot whose chats it answers, if it does.
        asks: the question with which its runs stop, if they do.
        answer_key: under which key the text of the last node is put out.
    """

    workflow_id: str
    name: str
    description: str
    nodes: Sequence[DemoNode]
    inputs: Sequence[Mapping[str, Any]]
    per_day: float
    mode: int = 1
    account: str = "default"
    caller: str = "cozepy"
    cny: tuple[float, float] = (0.8, 2.0)
    bot: str | None = None
    asks: str | None = None
    answer_key: str = "output"
    failures: Sequence[DemoFailure] = ()


def filled(text: str, inputs: Mapping[str, Any]) -> str:
    """Return *text* with the values of *inputs* where their names stand in braces."""
    for name, value in inputs.items():
        text = text.replace(f"{{{name}}}", str(value))
    return text


NEVER_ENDS: Final = -1.0
"""The end, in days before now, of what still happens."""

_START: Final = DemoNode("Start", "Start", 5, "")
_NOTES: Final = """# Release notes {version}

## New
* **Search** finds words inside other words, in any language.
* Exports can be scheduled; each has its own address.

## Fixed
| Area | What was wrong |
|---|---|
| Import | Files with a byte order mark were refused |
| Billing | Totals of the last day of a month were counted twice |

> Upgrade before the end of the month: version 3 is no longer supported then.
"""
_REPORT: Final = """## 本周概况

* 订单 **1,284** 单，环比 +6.2%
* 退款率 1.9%，较上周下降 0.4 个百分点
* 客服首次响应中位数 42 秒

## 需要关注
1. 华东仓周三缺货两小时，影响 37 单。
2. {team} 的两个自动化流程在周五晚间超时。

## 下周计划
- [ ] 补齐华东仓安全库存
- [ ] 复核退款规则
"""

WORKFLOWS: Final = (
    DemoWorkflow(
        "7536912840317468672", "Order triage", "Reads an order's e-mail and decides who takes care of it.",
        (
            _START,
            DemoNode("Classify", "LLM", 1_900, "The customer asks about order {order}: a late delivery.", (820, 160)),
            DemoNode("Order lookup", "Plugin", 420, '{"order": "{order}", "state": "shipped", "carrier": "DHL"}'),
            DemoNode("Decide", "LLM", 1_300, '{"queue": "delivery", "priority": "high", "reply": "We are on it."}', (460, 90)),
            DemoNode("End", "End", 30, '{"queue": "delivery", "priority": "high", "reply": "We are on it."}'),
        ),
        tuple({"order": f"A-{number}", "subject": subject} for number, subject in (
            (48213, "Where is my parcel?"), (48377, "Wrong size"), (48502, "Invoice needed"), (48619, "Broken on arrival"),
        )),
        22, cny=(0.8, 2.0),
        failures=(
            DemoFailure("Order lookup", 720702017, "Node 'Order lookup' failed: the plugin answered HTTP 502.", (0.95, NEVER_ENDS), 0.8),
            DemoFailure("Decide", 720701013, "Node 'Decide' failed: the model returned no JSON object.", (30, NEVER_ENDS), 0.02),
        ),
    ),
    DemoWorkflow(
        "7536912918204391424", "发票识别", "识别发票图片，返回金额、税号和日期。",
        (
            DemoNode("开始", "Start", 5, ""),
            DemoNode("OCR", "Plugin", 1_600, "发票号码 {invoice}，价税合计 1,280.00 元"),
            DemoNode("提取字段", "LLM", 900, '{"发票号码": "{invoice}", "金额": 1280.0, "税率": "13%"}', (640, 120)),
            DemoNode("结束", "End", 20, '{"发票号码": "{invoice}", "金额": 1280.0, "税率": "13%"}'),
        ),
        tuple({"invoice": number, "image": f"https://files.example.com/{number}.jpg"} for number in (
            "03318842", "03318907", "03319115", "03320044",
        )),
        15, mode=0, account="china", caller="coze-js",
        failures=(
            DemoFailure("OCR", 720702222, "节点 'OCR' 失败：图片分辨率低于 200 dpi，无法识别。", (30, NEVER_ENDS), 0.12),
        ),
    ),
    DemoWorkflow(
        "7536913004628279296", "Release notes", "Writes release notes in Markdown from merged changes.",
        (
            _START,
            DemoNode("Collect changes", "HTTP", 700, "31 merged changes since {previous}."),
            DemoNode("Write", "LLM", 8_400, _NOTES, (5_200, 900)),
            DemoNode("End", "End", 40, _NOTES),
        ),
        tuple({"version": new, "previous": old} for new, old in (("4.2.0", "4.1.3"), ("4.2.1", "4.2.0"), ("4.3.0", "4.2.1"))),
        3, cny=(4.0, 16.0), caller="coze-go",
        failures=(
            DemoFailure("Write", 720701002, "Node 'Write' failed: the model is overloaded, try again later.", (23, 19), 0.4),
            DemoFailure("Write", 720701002, "Node 'Write' failed: the model is overloaded, try again later.", (0.8, NEVER_ENDS), 0.7),
        ),
    ),
    DemoWorkflow(
        "7536913090123845632", "客服助手", "回答顾客的问题，必要时转人工。",
        (
            DemoNode("开始", "Start", 5, ""),
            DemoNode("知识库检索", "Knowledge", 380, "命中 3 条：退货政策、运费说明、保修条款"),
            DemoNode("回答", "LLM", 2_600, "您好！关于“{USER_INPUT}”：签收后 7 天内可以无理由退货，运费由我们承担。", (1_400, 180)),
        ),
        tuple({"USER_INPUT": text} for text in ("怎么退货？", "运费谁出？", "保修多久？", "能开发票吗？", "什么时候发货？")),
        16, account="china", caller="cozepy", bot="7450112233445566778",
        failures=(
            DemoFailure("知识库检索", 720703001, "节点 '知识库检索' 失败：知识库正在更新，请稍后再试。", (12, NEVER_ENDS), 0.015),
        ),
    ),
    DemoWorkflow(
        "7536913177745211392", "每周经营报告", "汇总各系统数据，生成 Markdown 周报。",
        (
            DemoNode("开始", "Start", 5, ""),
            DemoNode("取数", "Database", 14_000, '{"orders": 1284, "refunds": 24}'),
            DemoNode("撰写", "LLM", 38_000, _REPORT, (18_000, 2_400)),
            DemoNode("结束", "End", 60, _REPORT),
        ),
        tuple({"team": team, "week": week} for team, week in (("华东", 45), ("华南", 46), ("海外", 47), ("总部", 48))),
        2, mode=2, account="china", cny=(4.0, 16.0),
    ),
    DemoWorkflow(
        "7536913265582505984", "Contract review 合同审核", "Marks risky clauses, and asks before it rejects a contract.",
        (
            _START,
            DemoNode("Read", "Plugin", 3_200, "{pages} pages read."),
            DemoNode("Find risks", "LLM", 16_000, "§ 7.2: unlimited liability. § 11: 自动续约三年。", (32_000, 1_100)),
            DemoNode("End", "End", 50, '{"risk": "high", "clauses": ["7.2", "11"]}'),
        ),
        ({"contract": "MSA Hansen GmbH", "pages": 38}, {"contract": "采购合同 2026-114", "pages": 21}, {"contract": "NDA Lindqvist", "pages": 4}),
        4, cny=(4.0, 16.0), asks="Clause 7.2 has unlimited liability. Reject the contract, or ask the other side? 拒绝还是协商？",
        failures=(
            DemoFailure("Find risks", 720701013, "Node 'Find risks' failed: the answer was longer than 8,192 tokens.", (30, NEVER_ENDS), 0.05),
        ),
    ),
    DemoWorkflow(
        "7536913350932299776", "Product translation 商品翻译", "Translates product pages into six languages.",
        (
            _START,
            DemoNode("Translate", "LLM", 5_600, "Leichte Regenjacke, wasserdicht, in {colours} Farben. / 轻便雨衣，防水。", (6_400, 5_800)),
            DemoNode("Check terms", "Code", 240, "0 of 48 terms differ from the glossary."),
            DemoNode("End", "End", 30, '{"de": "Leichte Regenjacke", "zh": "轻便雨衣", "fr": "Veste de pluie légère"}'),
        ),
        tuple({"sku": sku, "colours": colours} for sku, colours in (("RJ-204", 5), ("RJ-220", 3), ("TN-018", 8), ("BP-77", 2))),
        9, caller="coze-java", cny=(0.8, 2.0),
        failures=(
            DemoFailure("Translate", 720701002, "Node 'Translate' failed: 429, too many requests.", (6, NEVER_ENDS), 0.04),
        ),
    ),
)  # fmt: skip

TRANSLATION: Final = WORKFLOWS[6]

SYNC, FETCH, INDEX = "catalog.sync", "catalog.fetch_pages", "catalog.write_index"
FUNCTIONS: Final = {
    SYNC: ("Catalogue sync", "Brings the catalogue of the shop up to date, some times a day."),
    FETCH: ("Fetch product pages", "Reads the product pages that have changed."),
    INDEX: ("Write search index", "Writes the search index of the shop."),
}
"""Recorded Python functions: the first one calls the others, and a workflow."""
