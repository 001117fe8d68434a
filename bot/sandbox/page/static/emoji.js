/** Emoji by Slack's names. What is not here is shown as `:name:`. */

const TABLE = `
large_green_circle 🟢|large_yellow_circle 🟡|large_orange_circle 🟠|red_circle 🔴|large_red_circle 🔴|white_circle ⚪
black_circle ⚫|large_blue_circle 🔵|large_purple_circle 🟣|large_brown_circle 🟤|large_green_square 🟩
large_yellow_square 🟨|large_orange_square 🟧|large_red_square 🟥|large_blue_square 🟦|white_large_square ⬜
black_large_square ⬛|grey_question ❔|question ❓|grey_exclamation ❕|exclamation ❗|heavy_exclamation_mark ❗
bangbang ‼️|interrobang ⁉️|white_check_mark ✅|heavy_check_mark ✔️|ballot_box_with_check ☑️|x ❌
negative_squared_cross_mark ❎|heavy_multiplication_x ✖️|warning ⚠️|no_entry ⛔|no_entry_sign 🚫|octagonal_sign 🛑
rotating_light 🚨|construction 🚧|information_source ℹ️|bulb 💡|rocket 🚀|tada 🎉|confetti_ball 🎊|fire 🔥|boom 💥
zap ⚡|sparkles ✨|star ⭐|star2 🌟|hourglass ⌛|hourglass_flowing_sand ⏳|stopwatch ⏱️|alarm_clock ⏰|timer_clock ⏲️
clock1 🕐|clock12 🕛|watch ⌚|calendar 📆|date 📅|spiral_calendar_pad 🗓️|lock 🔒|unlock 🔓|key 🔑
closed_lock_with_key 🔐|shield 🛡️|bell 🔔|no_bell 🔕|mega 📣|loudspeaker 📢|speech_balloon 💬|thought_balloon 💭
eyes 👀|eye 👁️|mag 🔍|mag_right 🔎|wrench 🔧|hammer 🔨|hammer_and_wrench 🛠️|gear ⚙️|nut_and_bolt 🔩|toolbox 🧰
broom 🧹|wastebasket 🗑️|package 📦|inbox_tray 📥|outbox_tray 📤|clipboard 📋|memo 📝|pencil 📝|pencil2 ✏️
page_facing_up 📄|page_with_curl 📃|scroll 📜|bookmark 🔖|bookmark_tabs 📑|books 📚|book 📖|notebook 📓|label 🏷️
pushpin 📌|round_pushpin 📍|paperclip 📎|link 🔗|scissors ✂️|file_folder 📁|open_file_folder 📂|file_cabinet 🗄️
card_index_dividers 🗂️|chart_with_upwards_trend 📈|chart_with_downwards_trend 📉|bar_chart 📊|floppy_disk 💾|cd 💿
computer 💻|desktop_computer 🖥️|keyboard ⌨️|printer 🖨️|iphone 📱|telephone ☎️|phone ☎️|pager 📟|satellite 🛰️
satellite_antenna 📡|battery 🔋|electric_plug 🔌|robot_face 🤖|ghost 👻|skull 💀|bug 🐛|snail 🐌|turtle 🐢|rabbit2 🐇
elephant 🐘|whale 🐳|penguin 🐧|snake 🐍|crab 🦀|octopus 🐙|dog 🐶|cat 🐱|unicorn_face 🦄|bee 🐝|smile 😄|smiley 😃
grinning 😀|grin 😁|laughing 😆|joy 😂|rofl 🤣|slightly_smiling_face 🙂|simple_smile 🙂|upside_down_face 🙃|wink 😉
blush 😊|relaxed ☺️|heart_eyes 😍|sunglasses 😎|nerd_face 🤓|thinking_face 🤔|neutral_face 😐|expressionless 😑
face_with_rolling_eyes 🙄|disappointed 😞|worried 😟|cry 😢|sob 😭|scream 😱|rage 😡|angry 😠|sleeping 😴|zzz 💤
dizzy_face 😵|mask 😷|face_with_thermometer 🤒|partying_face 🥳|pray 🙏|+1 👍|thumbsup 👍|-1 👎|thumbsdown 👎
ok_hand 👌|wave 👋|raised_hand ✋|raised_hands 🙌|clap 👏|muscle 💪|handshake 🤝|point_right 👉|point_left 👈
point_up ☝️|point_up_2 👆|point_down 👇|v ✌️|crossed_fingers 🤞|writing_hand ✍️|man-shrugging 🤷‍♂️|woman-shrugging 🤷‍♀️
shrug 🤷|facepalm 🤦|bust_in_silhouette 👤|busts_in_silhouette 👥|heart ❤️|orange_heart 🧡|yellow_heart 💛
green_heart 💚|blue_heart 💙|purple_heart 💜|black_heart 🖤|broken_heart 💔|100 💯|arrow_up ⬆️|arrow_down ⬇️
arrow_left ⬅️|arrow_right ➡️|arrow_upper_right ↗️|arrow_lower_right ↘️|arrow_lower_left ↙️|arrow_upper_left ↖️
arrow_up_small 🔼|arrow_down_small 🔽|arrows_counterclockwise 🔄|arrows_clockwise 🔃|repeat 🔁
leftwards_arrow_with_hook ↩️|arrow_right_hook ↪️|rewind ⏪|fast_forward ⏩|arrow_forward ▶️|arrow_backward ◀️
double_vertical_bar ⏸️|pause_button ⏸️|black_square_for_stop ⏹️|stop_button ⏹️|heavy_plus_sign ➕
heavy_minus_sign ➖|one 1️⃣|two 2️⃣|three 3️⃣|four 4️⃣|five 5️⃣|six 6️⃣|seven 7️⃣|eight 8️⃣|nine 9️⃣
keycap_ten 🔟|zero 0️⃣|new 🆕|up 🆙|ok 🆗|sos 🆘|vs 🆚|cool 🆒|free 🆓|small_red_triangle 🔺|small_red_triangle_down 🔻
small_blue_diamond 🔹|small_orange_diamond 🔸|diamond_shape_with_a_dot_inside 💠|radio_button 🔘|checkered_flag 🏁
triangular_flag_on_post 🚩|white_flag 🏳️|sunny ☀️|partly_sunny ⛅|cloud ☁️|rain_cloud 🌧️|thunder_cloud_and_rain ⛈️
snowflake ❄️|rainbow 🌈|earth_africa 🌍|earth_americas 🌎|earth_asia 🌏|globe_with_meridians 🌐|moon 🌔|coffee ☕
tea 🍵|beer 🍺|beers 🍻|pizza 🍕|cake 🍰|birthday 🎂|doughnut 🍩|popcorn 🍿|apple 🍎|trophy 🏆|medal 🎖️|dart 🎯
game_die 🎲|gift 🎁|balloon 🎈|art 🎨|microscope 🔬|telescope 🔭|test_tube 🧪|dna 🧬|pill 💊|syringe 💉|ambulance 🚑
fire_engine 🚒|helmet_with_white_cross ⛑️|fire_extinguisher 🧯|adhesive_bandage 🩹|stethoscope 🩺|ladder 🪜|anchor ⚓
ship 🚢|airplane ✈️|truck 🚚|bike 🚲|car 🚗|train 🚆|house 🏠|office 🏢|factory 🏭|hospital 🏥|bank 🏦|moneybag 💰
credit_card 💳|email 📧|envelope ✉️|incoming_envelope 📨|mailbox 📫|seedling 🌱|evergreen_tree 🌲|four_leaf_clover 🍀
`;

const EMOJI = new Map(
  TABLE.split(/[|\n]/)
    .filter(Boolean)
    .map((pair) => pair.split(" ")),
);

/** The emoji of that name as text, or undefined. */
export const emoji = (name) => EMOJI.get(name);

/** A plain text with the names in it replaced, as plain_text with `emoji: true` is shown. */
export const withEmoji = (text) => text.replace(/:([a-z0-9_'+-]+):/g, (whole, name) => emoji(name) ?? whole);
