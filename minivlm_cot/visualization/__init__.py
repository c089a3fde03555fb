from .images import ARM_COLOURS, ASIDE, draw_grid, GREY, Look, looks, picture_of, RIGHT, show_images
from .images import STYLE, WRONG
from .figures import plot_accuracy, plot_losses, plot_validation
from .cards import plot_comparison, reasoning_card
from .choosing import choose_cards, choose_rows, hero_row, outcome_of, OUTCOMES, verdict
from .pages import cards_page, report_page
