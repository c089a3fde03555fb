from .meter import BudgetSpent, Meter, picture_price, Spent
from .branches import Branches, Engine, shares_cache
from .moves import ends_step, Piece, STOPS
from . import reading  # the engine's `read`
from . import scoring  # the engine's `score` and `log_ps`
from .text_branches import engine_for, TextEngine
from .thoughts import dials_of, Node, NODE_FATES, NODE_KINDS, NODE_MAKERS, Once, steps_of, Thinker
from .thoughts import Thought, Trace
from .trace_steps import cells_named, check_nodes, path_to, running_text, said_in, Verdict
from .trace_tree import chosen_nodes, lay_out, lost_nodes, Place, shown_nodes
from .traces import plot_trace, thought_card
from .pools import pass_at, Pool, pool_scores, PoolChain, PoolOptions, sample_pool
from .votes import beta_settled, elect, Election, is_settled, pool_chains, SelfConsistency
from .votes import SETTLED, window_settled
from .votes_worth import elected_chances, stopped_votes, vote_at
from .verifiers import auc, auc_interval, chain_of, chain_steps, HOW, judged, LogProb, Noisy
from .verifiers import pieces_of, rejections, SceneVerifier, Verifier, whole
from .step_head import fit_step_head, marked_steps, MarkedSteps, read_back, step_states, StepHead
from .step_head import UNSEEN
from .choosing import best_at, BestOfN, chances_of_best, choose, pool_verdicts
from .choosing import selection_efficiency, weighted_at
from .step_head_taught import chosen_right, fitted_heads, judged_steps, StepHeadRecipe
from .step_head_taught import taught_steps, train_step_head, ways_right
from .step_search import Front, Growth, number_of, StepBeam, Tree
from .rechecking import is_verified, Recheck
from .refining import ALL_TRUE, CHECK, Checks, correction, exercises, FIX, Refine, revised
from .refining import SelfCheck, verdict_on
from .refining_taught import ask_refined, judge_checks, own_mistakes, RefiningRecipe, teach_checks
from .refining_taught import train_refining
from .decomposing import as_paid, LeastToMost, open_with, path_words, plan_by_program
from .decomposing import plan_by_rule, PLANS, SubQuestion, walk_plan
from .tools import calculate, Calculator, last_call, plain_result, Tool, ToolError, Tools
from .tools_search import Fact, fact_pairs, Find, invent_facts, Look, make_cell_row, make_echo_row
from .tools_search import make_fact_row, make_look_row, one_cell, RELATIONS
from .tools_sums import BEYOND, deal_results, make_spoken_row, make_sum_row, sum_marks, with_calls
from .tools_taught import ask_cells, ask_exam, ask_twins, Calls, CallsDataset, exam_rows
from .tools_taught import given_results, MADE_UP, seen_in, teach_echoes, teach_tools, teach_twins
from .tools_taught import ToolsRecipe, train_tools, twin_rows
from .when_to_think import above_mixing, Cascade, choose_threshold, Curve, Heads, margins
from .when_to_think import route_curve, unsure
from .without_trying import fit_probe, OwnChoice, Probe, Route, states_of
from .forcing import CUE, EarlyExit, force_answer, known_after, settled, StepBudget, Wait
from .forms import CHAIN_FORMS, CUES, FormQuestions, in_form, read_form, step_marks
from .forms_examples import ask_in_words, asked_in, CASES, continue_texts, INTRO, KINDS
from .forms_examples import mark_words, measure_examples, Shots, worked_examples
from .forms_taught import ask_cues, ask_forms, EXAM, FormsRecipe, teach_base, teach_form
from .forms_taught import train_forms
from .longer import FORMS, make_listing, make_walk, NAME_THEM, numbered, NUMBERS, step_heads
from .longer import Walks
from .longer_parts import ask_in_parts, OneMoveEach, Plan, read_plan
from .longer_taught import ask_walks, longer_rows, LongerRecipe, teach_rows, teach_walks
from .longer_taught import train_longer
from .comparing import compare_strategies, CompareOptions, gain_at_cost, gain_over, mean_right
from .comparing import mean_tokens, Reading, Record, Replay, stacked, study_lines, summarise
from .comparing import true_share
from .equal_cost import ask_rival, Filled, rival_lines, rival_tasks, RivalRecipe, teach_rival
from .equal_cost import train_rivals
from .running import ask_rivals, ask_runs, choose_dials, FLIPS, measure_strategies, noisy_ways
from .running import PLAIN, read_pool, replay_pools, replays, run_ways, SPLITS_ASKED, study_split
from .running import StudyRecipe
from .study import dial, flip_needed, group_of, plot_dial, plot_study, wide_lines
from .by_name import Named, STRATEGIES, Way, WAYS, ways_named
